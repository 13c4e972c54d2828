#pragma once
// Caller: one function in one instance. It turns frames into calls of the handler and what the handler does into frames. Any thread.

#include <chrono>
#include <string>
#include <string_view>

#include "frame_link.h"
#include "mayfly/function.h"

namespace mayfly::detail {

// {errorMessage, errorType, stackTrace} of the exception being handled. Bytes that are no UTF-8 become U+FFFD.
std::string error_body();
std::string error_body(std::string_view message, std::string_view type);

class Caller {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Caller(const Function& function, const InstanceAbout& about, Link& link) : function_(function), about_(about), link_(link) {}

  // Answers a call or hook frame. `began`: when its turn came; returns when it was done, so that one look at the clock serves two calls.
  Time answer(const Frame& frame, Time began, When when);

  // Runs a hook if the function has it; throws what it throws.
  void run(const Function::Hook& hook, std::string_view keys, std::string_view request_id = {}) const;

 private:
  const Function& function_;
  const InstanceAbout& about_;
  Link& link_;

  Time answer_call(const Frame& frame, Time began, When when);
  Time answer_hook(const Frame& frame, Time began);
  void stream(const Reply& reply, uint32_t call, bool http);
  Time finish(FrameHeader header, Time began, std::string_view meta, std::string_view body, When when);
};

}  // namespace mayfly::detail
