#pragma once
// What lies in the queue for one asynchronous call, and in the row of its dead letter: one line of JSON about it, a newline, and the
// payload's bytes as they are. Also which of the queues it lies in.

#include <optional>
#include <string>
#include <string_view>

#include "dispatch/invoker.h"
#include "queues/work_queue.h"

namespace mayfly::dispatch {

constexpr size_t kAsyncPartitions = 16;  // queues, by function: a flood of one function holds up at most the others of its queue; part of the stored layout
constexpr size_t kMaxKeptError = 1'000;  // bytes of an error that a message or a task remembers

struct AsyncMessage {
  Invocation invocation;
  std::string task_id;        // of a stateful call (async_tasks.h); empty: none
  int64_t since_us = 0;       // wall clock when it was first enqueued
  int64_t attempts = 0;       // runs that ended in a function error
  int64_t system_tries = 0;   // times the platform could not run it
  std::string first_error, last_error;  // of either kind, the beginning of each
  std::string reason;         // dead letters: why
  int64_t died_us = 0;        // dead letters: when

  void failed(const std::string& error) {
    last_error = error.substr(0, kMaxKeptError);
    if (first_error.empty()) first_error = last_error;
  }
};

std::string encode(const AsyncMessage& message);
std::optional<AsyncMessage> decode_async(std::string_view row);

size_t async_partition(const Target& target);
std::string async_queue(size_t partition);
queues::Message queue_message(const AsyncMessage& message, int64_t due_us);

}  // namespace mayfly::dispatch
