#include "dispatch/async_message.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"

namespace mayfly::dispatch {

std::string encode(const AsyncMessage& message) {
  const Invocation& call = message.invocation;
  json::object head{{"request_id", call.request_id}, {"service", call.target.service}, {"function", call.target.function},
                    {"qualifier", call.target.qualifier}, {"source", call.source}, {"http", call.http}, {"task", message.task_id},
                    {"since_us", message.since_us}, {"attempts", message.attempts}, {"system_tries", message.system_tries},
                    {"first_error", to_utf8(message.first_error)}, {"last_error", to_utf8(message.last_error)},
                    {"reason", to_utf8(message.reason)}, {"died_us", message.died_us}};
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
  message.task_id = string_or(*head, "task");
  message.since_us = int_or(*head, "since_us");
  message.attempts = int_or(*head, "attempts");
  message.system_tries = int_or(*head, "system_tries");
  message.invocation.retry_count = static_cast<int>(message.attempts);
  message.first_error = string_or(*head, "first_error");
  message.last_error = string_or(*head, "last_error");
  message.reason = string_or(*head, "reason");
  message.died_us = int_or(*head, "died_us");
  return message;
}

// Of the stored layout, so not std::hash.
size_t async_partition(const Target& target) { return crc32c(target.service + "/" + target.function) % kAsyncPartitions; }

std::string async_queue(size_t partition) { return fmt::format("async-{}", partition); }

queues::Message queue_message(const AsyncMessage& message, int64_t due_us) {
  return {async_queue(async_partition(message.invocation.target)), due_us, message.invocation.request_id, encode(message)};
}

}  // namespace mayfly::dispatch
