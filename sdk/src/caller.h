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

// What the meta of a frame says (frame.h of Mayfly). Views of it.
struct CallMeta {
  std::string_view request_id, keys, http;  // keys: id \0 secret \0 token
};
struct HookMeta {
  std::string_view name, request_id, keys;  // an older server sends the name alone
};
CallMeta call_meta(std::string_view meta);  // throws LinkError
HookMeta hook_meta(std::string_view meta);

class Caller {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Caller(const Function& function, const InstanceAbout& about, Link& link) : function_(function), about_(about), link_(link) {}

  // Answers a call or hook frame. `began`: when its turn came; returns when it was done, so that one look at the clock serves two calls.
  Time answer(const Frame& frame, Time began, When when);

  // Runs an initializer or hook if the function has it; throws what it throws.
  void run(const Function::Hook& hook, std::string_view request_id, std::string_view keys) const;
  // Runs "preStop" or "preFreeze". What it throws is logged and returned as the body of an error, empty when all is well.
  std::string run_hook(const HookMeta& hook) const;

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
