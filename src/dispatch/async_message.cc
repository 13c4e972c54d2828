#include "dispatch/async_message.h"

#include "base/json.h"

namespace mayfly::dispatch {

std::string encode(const AsyncMessage& message) {
  const Invocation& call = message.invocation;
  json::object head{{"request_id", call.request_id}, {"service", call.target.service}, {"function", call.target.function},
                    {"qualifier", call.target.qualifier}, {"source", call.source}, {"http", call.http}, {"since_us", message.since_us},
                    {"attempts", message.attempts}, {"system_tries", message.system_tries}, {"reason", message.reason}, {"died_us", message.died_us}};
  return to_text(head) + "\n" + call.payload;
}

std::optional<AsyncMessage> decode_async(std::string_view row) {
  size_t end = row.find('\n');  // serialised JSON holds no bare newline
  if (end == row.npos) return std::nullopt;
  auto head = parse_json(row.substr(0, end));
  if (!head) return std::nullopt;
  AsyncMessage message;
  message.invocation = {.request_id = string_or(*head, "request_id"),
                        .target = {string_or(*head, "service"), string_or(*head, "function"), string_or(*head, "qualifier")},
                        .payload = std::string(row.substr(end + 1)),
                        .source = string_or(*head, "source", "async"),
                        .http = string_or(*head, "http")};
  message.since_us = int_or(*head, "since_us");
  message.attempts = int_or(*head, "attempts");
  message.system_tries = int_or(*head, "system_tries");
  message.invocation.retry_count = static_cast<int>(message.attempts);
  message.reason = string_or(*head, "reason");
  message.died_us = int_or(*head, "died_us");
  return message;
}

}  // namespace mayfly::dispatch
