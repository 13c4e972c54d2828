#include "cli/samples.h"

#include "base/clock.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"

namespace mayfly::cli {
namespace {

json::object oss_event(const SampleChoice& c) {
  json::object bucket{{"arn", fmt::format("acs:oss:{}:{}:{}", c.region, c.account, c.bucket)}, {"name", c.bucket}, {"ownerIdentity", c.account}, {"virtualBucket", ""}};
  json::object object{{"deltaSize", 1024}, {"eTag", "D41D8CD98F00B204E9800998ECF8427E"}, {"key", c.key},
                      {"objectMeta", {{"mimeType", "image/jpeg"}}}, {"size", 1024}};
  json::object record{{"eventName", "ObjectCreated:PutObject"}, {"eventSource", "acs:oss"},
                      {"eventTime", iso8601_s(c.wall_us).substr(0, 19) + ".000Z"}, {"eventVersion", "1.0"},
                      {"oss", {{"bucket", bucket}, {"object", object}, {"ossSchemaVersion", "1.0"}, {"ruleId", "sample"}}},
                      {"region", c.region}, {"requestParameters", {{"sourceIPAddress", "127.0.0.1"}}},
                      {"responseElements", {{"requestId", "5FFE7A1B2C3D4E5F60718293"}}}, {"userIdentity", {{"principalId", c.account}}}};
  return {{"events", json::array{std::move(record)}}};
}

json::object http_event(const SampleChoice& c) {
  return {{"version", "v1"}, {"rawPath", "/example"}, {"body", c.payload}, {"isBase64Encoded", false},
          {"headers", {{"Accept", "*/*"}, {"User-Agent", "mayfly"}}}, {"queryParameters", {{"name", "value"}}},
          {"requestContext", {{"accountId", c.account}, {"domainName", "localhost"}, {"domainPrefix", ""},
                              {"http", {{"method", "POST"}, {"path", "/example"}, {"protocol", "HTTP/1.1"}, {"sourceIp", "127.0.0.1"}, {"userAgent", "mayfly"}}},
                              {"requestId", "sample"}, {"time", iso8601_s(c.wall_us)}, {"timeEpoch", fmt::to_string(c.wall_us / kMicrosPerMilli)}}}};
}

json::object mns_event(const SampleChoice& c) {
  return {{"TopicOwner", c.account}, {"Message", c.payload}, {"Subscriber", c.account}, {"PublishTime", c.wall_us / kMicrosPerMilli},
          {"SubscriptionName", "sample"}, {"MessageMD5", hex_encode(md5(c.payload))}, {"TopicName", "sample"}, {"MessageId", "5F290C926D472878-2-14D9529A8FA-200000001"}};
}

}  // namespace

Result<std::string> sample_event(const SampleChoice& choice) {
  if (choice.kind == "oss") return to_text(oss_event(choice));
  if (choice.kind == "timer")
    return to_text(json::object{{"triggerTime", iso8601_s(choice.wall_us)}, {"triggerName", "sample"}, {"payload", choice.payload}});
  if (choice.kind == "http") return to_text(http_event(choice));
  if (choice.kind == "mns") return to_text(mns_event(choice));
  return fail(Kind::usage, "there is no sample \"" + choice.kind + "\"", "the samples are oss, timer, http and mns");
}

}  // namespace mayfly::cli
