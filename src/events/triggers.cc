#include "events/triggers.h"

#include <fmt/format.h>

#include "base/clock.h"

namespace mayfly::events {
namespace {

std::string text_of(const json::value* value) { return value != nullptr && value->is_string() ? std::string(view(value->get_string())) : std::string(); }

const json::value* find_path(const json::value& config, std::initializer_list<std::string_view> keys) {
  const json::value* at = &config;
  for (std::string_view key : keys)
    if (at = find_ignore_case(*at, key); at == nullptr) return nullptr;
  return at;
}

}  // namespace

OssRule oss_rule(const functions::Trigger& trigger) {
  OssRule rule{.service = trigger.service, .function = trigger.function, .trigger = trigger.name, .qualifier = trigger.qualifier};
  rule.bucket = trigger.source_arn.substr(trigger.source_arn.rfind(':') + 1);  // acs:oss:{region}:{account}:{bucket}
  json::value config(trigger.config);
  if (const json::value* events = find_ignore_case(config, "events"); events != nullptr && events->is_array())
    for (const json::value& event : events->get_array()) rule.events.push_back(text_of(&event));
  rule.prefix = text_of(find_path(config, {"filter", "key", "prefix"}));
  rule.suffix = text_of(find_path(config, {"filter", "key", "suffix"}));
  return rule;
}

bool matches(const OssRule& rule, const std::string& event_name, const std::string& bucket, const std::string& key) {
  if (rule.bucket != bucket || !key.starts_with(rule.prefix) || !key.ends_with(rule.suffix)) return false;
  for (const std::string& wanted : rule.events) {
    std::string_view pattern = wanted;
    if (pattern.starts_with("oss:")) pattern.remove_prefix(4);
    if (pattern.ends_with('*') ? event_name.starts_with(pattern.substr(0, pattern.size() - 1)) : event_name == pattern) return true;
  }
  return false;
}

std::string event_name(objects::Change::Kind kind) {
  using Kind = objects::Change::Kind;
  switch (kind) {
    case Kind::put: return "ObjectCreated:PutObject";
    case Kind::copy: return "ObjectCreated:CopyObject";
    case Kind::append: return "ObjectCreated:AppendObject";
    case Kind::post: return "ObjectCreated:PostObject";
    case Kind::complete_multipart: return "ObjectCreated:CompleteMultipartUpload";
    case Kind::symlink: return "ObjectCreated:PutSymlink";
    case Kind::remove: return "ObjectRemoved:DeleteObject";
    case Kind::remove_many: return "ObjectRemoved:DeleteObjects";
  }
  return {};
}

std::string oss_event(const OssRule& rule, const objects::Change& change, const std::string& account, const std::string& region, int64_t wall_us) {
  const objects::ObjectInfo& object = change.object;
  std::string arn = fmt::format("acs:oss:{}:{}:{}", region, account, object.bucket);
  bool removed = change.kind == objects::Change::Kind::remove || change.kind == objects::Change::Kind::remove_many;
  auto size = static_cast<int64_t>(object.size), previous = static_cast<int64_t>(change.previous_size);
  json::object body{
      {"eventName", event_name(change.kind)},
      {"eventSource", "acs:oss"},
      {"eventTime", iso8601_ms(wall_us / kMicrosPerSecond * kMicrosPerSecond)},
      {"eventVersion", "1.0"},
      {"oss",
       {{"bucket", {{"arn", arn}, {"name", object.bucket}, {"ownerIdentity", account}, {"virtualBucket", ""}}},
        {"object",
         {{"deltaSize", removed ? -size : size - previous},
          {"eTag", object.etag},
          {"key", object.key},
          {"objectMeta", {{"mimeType", object.content_type}}},
          {"size", size},
          {"sequencer", fmt::format("{:016x}", object.sequencer)}}},
        {"ossSchemaVersion", "1.0"},
        {"ruleId", rule.trigger}}},
      {"region", region},
      {"requestParameters", {{"sourceIPAddress", change.source_ip}}},
      {"responseElements", {{"requestId", change.request_id}}},
      {"userIdentity", {{"principalId", change.principal}}},
  };
  return to_text(json::object{{"events", json::array{std::move(body)}}});
}

std::string timer_event(const std::string& trigger, const std::string& payload, int64_t tick_us) {
  return to_text(json::object{{"triggerTime", iso8601_s(tick_us)}, {"triggerName", trigger}, {"payload", payload}});
}

void ObjectTriggers::reload() {
  auto rules = std::make_shared<std::vector<OssRule>>();
  for (const functions::Trigger& trigger : catalogue_.all_triggers("oss")) rules->push_back(oss_rule(trigger));
  rules_.store(std::move(rules));
}

void ObjectTriggers::on_change(const objects::Change& change, store::Batch& batch) {
  auto rules = rules_.load();
  if (!rules) return;
  std::string name = event_name(change.kind);
  for (const OssRule& rule : *rules) {
    if (!matches(rule, name, change.object.bucket, change.object.key)) continue;
    options_.deliver(batch, {.request_id = uuid(rng_),
                             .target = {rule.service, rule.function, rule.qualifier},
                             .payload = oss_event(rule, change, options_.account, options_.region, clock_.wall_us()),
                             .source = "oss"});
  }
}

}  // namespace mayfly::events
