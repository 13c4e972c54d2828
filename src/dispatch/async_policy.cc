#include "dispatch/async_policy.h"

#include <algorithm>

#include "base/encoding.h"

namespace mayfly::dispatch {
namespace {

constexpr size_t kLongestCharacter = 4;  // bytes, of UTF-8

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }  // a character of UTF-8

// What a byte of text takes in a JSON string: \" and \n are two, \u0001 is six.
size_t json_size(char byte) {
  if (byte == '"' || byte == '\\' || byte == '\b' || byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r') return 2;
  return static_cast<unsigned char>(byte) < 0x20 ? 6 : 1;
}
size_t json_size(std::string_view text) {
  size_t sum = 0;
  for (char byte : text) sum += json_size(byte);
  return sum;
}

// As much of `bytes` as text takes up to `room` in a JSON string, in whole characters. They may be megabytes: what cannot be in it is not looked at.
std::string beginning(std::string_view bytes, size_t room) {
  if (bytes.size() > room) {  // no byte takes less than one
    size_t end = room;
    while (end > 0 && room - end < kLongestCharacter - 1 && continues(bytes[end])) --end;
    bytes = bytes.substr(0, end);
  }
  std::string text = to_utf8(bytes);
  size_t end = 0;
  for (size_t taken = 0; end < text.size(); ++end) {
    taken += json_size(text[end]);
    if (taken > room) break;
  }
  while (end < text.size() && continues(text[end])) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::string async_config_name(const std::string& service, const std::string& qualifier, const std::string& function) {
  return fmt::format("{}/{}/{}", service, function, qualifier.empty() ? functions::kLatest : std::string_view(qualifier));
}

AsyncPolicy async_policy(const functions::Settings& settings, const Target& target) {
  AsyncPolicy policy;
  auto document = settings.get(kAsyncConfig, async_config_name(target.service, target.qualifier, target.function));
  if (!document) return policy;
  json::value body = document->body;
  policy.max_retries = int_or(body, "maxAsyncRetryAttempts", policy.max_retries);
  policy.max_age_s = int_or(body, "maxAsyncEventAgeInSeconds", policy.max_age_s);
  policy.stateful = bool_or(body, "statefulInvocation");
  const json::value* destinations = find(body, "destinationConfig");
  for (auto [key, out] : {std::pair{"onSuccess", &policy.on_success}, std::pair{"onFailure", &policy.on_failure}})
    if (const json::value* one = destinations ? find(*destinations, key) : nullptr) *out = string_or(*one, "destination");
  return policy;
}

std::optional<Target> destination_target(const std::string& arn) {
  size_t at = arn.find(":services/"), function = arn.find("/functions/");
  if (!arn.starts_with("acs:fc:") || at == arn.npos || function == arn.npos || function < at) return std::nullopt;
  std::string service = arn.substr(at + 10, function - at - 10), name = arn.substr(function + 11), qualifier;
  if (size_t dot = service.find('.'); dot != service.npos) {
    qualifier = service.substr(dot + 1);
    service.resize(dot);
  }
  if (service.empty() || name.empty() || name.find('/') != name.npos || service.find('/') != service.npos) return std::nullopt;
  return Target{service, name, qualifier};
}

std::string destination_problem(const std::string& arn) {
  if (arn.empty() || destination_target(arn)) return {};
  std::string_view kind = arn.starts_with("acs:mns:")           ? "queues and topics (acs:mns) are not destinations here"
                          : arn.starts_with("acs:eventbridge:") ? "event buses (acs:eventbridge) are not destinations here"
                          : arn.starts_with("acs:mq:")          ? "RocketMQ topics (acs:mq) are not destinations here"
                                                                : "it is not the ARN of a function";
  return fmt::format("destination '{}' cannot be used: {}; a destination is a function, acs:fc:<region>:<account>:services/<service>[.<qualifier>]/functions/<function>",
                     arn.substr(0, 200), kind);
}

std::string destination_event(const AsyncMessage& message, const Ending& ending, const std::string& region, const std::string& account, int64_t wall_us,
                              size_t max_bytes) {
  const Invocation& call = message.invocation;
  std::string qualifier = call.target.qualifier.empty() ? std::string(functions::kLatest) : call.target.qualifier;
  std::string function_arn = fmt::format("acs:fc:{}:{}:services/{}.{}/functions/{}", region, account, call.target.service, qualifier, call.target.function);
  json::object event{
      {"timestamp", wall_us / kMicrosPerMilli},
      {"requestContext", json::object{{"requestId", call.request_id}, {"functionArn", function_arn}, {"condition", ending.condition},
                                      {"approximateInvokeCount", std::max<int64_t>(1, message.attempts + (ending.condition == "Success" ? 1 : 0))}}},
      {"requestPayload", ""},
      {"responseContext", json::object{{"statusCode", ending.status}, {"functionError", ending.function_error}}},
      {"responsePayload", ""}};
  size_t room = max_bytes - std::min(max_bytes, to_text(event).size());
  std::string request = beginning(call.payload, room);
  std::string response = beginning(ending.response, std::max(room / 2, room - json_size(request)));
  event["requestPayload"] = beginning(request, room - json_size(response));
  event["responsePayload"] = response;
  return to_text(event);
}

}  // namespace mayfly::dispatch
