#pragma once
// What lies in the queue for one asynchronous call: one line of JSON about it, a newline, and the payload's bytes as they are.

#include <optional>
#include <string>
#include <string_view>

#include "dispatch/invoker.h"

namespace mayfly::dispatch {

struct AsyncMessage {
  Invocation invocation;
  int64_t since_us = 0;       // wall clock when it was first enqueued
  int64_t attempts = 0;       // runs that ended in a function error
  int64_t system_tries = 0;   // times the platform could not run it
  std::string reason;         // dead letters: why
  int64_t died_us = 0;        // dead letters: when
};

std::string encode(const AsyncMessage& message);
std::optional<AsyncMessage> decode_async(std::string_view row);

}  // namespace mayfly::dispatch
