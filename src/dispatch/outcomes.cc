#include "dispatch/outcomes.h"

#include <algorithm>

#include "dispatch/pool.h"
#include "sys/process.h"

namespace mayfly::dispatch {
namespace {

constexpr int64_t kBytesPerMb = 1 << 20;
constexpr int64_t kDefaultTimeoutS = 3;  // functions/model.h
constexpr size_t kShownLogBytes = 300;   // of what a crashed instance printed last, in the reason of a suspension

std::string error_body(std::string message, std::string_view type) {
  return to_text(json::object{{"errorMessage", message}, {"errorType", type}});
}

std::string measured(const runtime::Reply& reply) {
  return fmt::format("(duration: {}ms, maxMemoryUsage: {}MB)", reply.run_us / kMicrosPerMilli, reply.memory_bytes / kBytesPerMb);
}

// " by signal 11 (SIGSEGV)", " with status 3", or nothing when it is not known.
std::string how_it_ended(int status) { return status == 0 ? std::string() : " " + sys::how_it_ended(status); }

// What a start that took too long says: its own words, which may be an error's JSON, behind the vendor's.
std::string too_long(const Failure<runtime::StartError>& failure, const functions::Function& function) {
  std::string words = failure.message;
  if (auto parsed = parse_json(words)) words = string_or(*parsed, "errorMessage", words);
  if (!words.starts_with("Function initialization timed out"))
    words = fmt::format("Function initialization timed out after {} seconds{}{}", function.initialization_timeout_s, words.empty() ? "" : ": ", words);
  const Phases spent = start_phases(failure.phases);
  if (spent.start_us() > 0)
    words += fmt::format(" (sandbox {} ms, runtime {} ms, import {} ms, init {} ms)", spent.sandbox_us / kMicrosPerMilli, spent.runtime_us / kMicrosPerMilli,
                         spent.import_us / kMicrosPerMilli, spent.init_us / kMicrosPerMilli);
  return words + "; raise initializationTimeout if importing and initializing need longer";
}

}  // namespace

Phases start_phases(const runtime::StartPhases& started) {
  return {.sandbox_us = started.sandbox_us, .runtime_us = started.runtime_us, .import_us = started.import_us, .init_us = started.init_us};
}

void keep_tail(std::string& tail, std::string_view text) {
  tail.append(text);
  if (tail.size() > kLogTailBytes) tail.erase(0, tail.size() - kLogTailBytes);
}

std::string time_spent(const Phases& phases) {
  return fmt::format("queued {} ms, starting {} ms, run {} ms", phases.queued_us / kMicrosPerMilli, phases.start_us() / kMicrosPerMilli,
                     (phases.run_us + phases.reply_us) / kMicrosPerMilli);
}

std::string crash_reason(std::string_view message, std::string_view printed) {
  std::string reason(message);
  if (auto parsed = parse_json(message)) reason = string_or(*parsed, "errorMessage", message);
  while (printed.ends_with('\n')) printed.remove_suffix(1);
  if (printed.empty()) return reason;
  if (printed.size() > kShownLogBytes) {
    printed.remove_prefix(printed.size() - kShownLogBytes);
    printed.remove_prefix(std::min(printed.size(), printed.find('\n') + 1));  // no half line, unless it is all there is
  }
  return fmt::format("{}; it last printed: {}", reason, printed);
}

Outcome finished_call(runtime::Reply reply, Phases phases, const functions::Function& function) {
  using Kind = runtime::Reply::Kind;
  Outcome outcome{.body = {}, .http = std::move(reply.http), .phases = phases, .memory_bytes = reply.memory_bytes};
  outcome.phases.run_us = reply.run_us;
  outcome.phases.reply_us = reply.reply_us;
  switch (reply.kind) {
    case Kind::ok:
      outcome.kind = Outcome::Kind::ok;
      outcome.body = std::move(reply.body);
      break;
    case Kind::handled_error:
      outcome.kind = Outcome::Kind::handled_error;
      outcome.body = std::move(reply.body);
      break;
    case Kind::failed:
      outcome.kind = Outcome::Kind::unhandled_error;
      outcome.body = std::move(reply.body);
      break;
    case Kind::not_started:
    case Kind::died:
      outcome.kind = Outcome::Kind::unhandled_error;
      outcome.body = std::move(reply.last_words);
      if (!outcome.body.empty()) break;
      outcome.body = error_body(fmt::format("Process exited unexpectedly{} before completing request {}", how_it_ended(reply.exit_status), measured(reply)),
                                "UnhandledInvocationError");
      break;
    case Kind::timed_out:
      outcome.kind = Outcome::Kind::timed_out;
      outcome.body = error_body(fmt::format("Function timed out after {} seconds ({}){}", function.timeout_s, time_spent(outcome.phases),
                                            function.timeout_s == kDefaultTimeoutS ? "; that is the default: raise the function's timeout if it needs longer" : ""),
                                "FunctionTimedOut");
      break;
    case Kind::out_of_memory:
      outcome.kind = Outcome::Kind::out_of_memory;
      outcome.body = error_body(fmt::format("Process was ended because it needed more than its {} MB of memory {}; raise the function's memorySize",
                                            function.memory_mb, measured(reply)),
                                "UnhandledInvocationError");
      break;
  }
  if (reply.worded) outcome.body = std::move(reply.body);
  return outcome;
}

void fit_start(Phases& phases, int64_t waited_us) {
  if (phases.start_us() == 0) phases.sandbox_us = waited_us;  // refused by the machine, before anything of the function began
  int64_t before_us = std::max<int64_t>(0, phases.start_us() - waited_us);
  for (int64_t* phase : {&phases.sandbox_us, &phases.runtime_us, &phases.import_us, &phases.init_us}) {
    int64_t cut_us = std::min(before_us, *phase);
    *phase -= cut_us;
    before_us -= cut_us;
  }
  phases.queued_us = waited_us - phases.start_us();
}

Outcome failed_start(const Failure<runtime::StartError>& failure, const functions::Function& function) {
  Outcome outcome;
  outcome.phases = start_phases(failure.phases);
  outcome.cold = true;
  switch (failure.code) {
    case runtime::StartError::timed_out:
      outcome.kind = Outcome::Kind::timed_out;
      outcome.body = error_body(too_long(failure, function), "FunctionTimedOut");
      break;
    case runtime::StartError::out_of_memory:
      outcome.kind = Outcome::Kind::out_of_memory;
      outcome.body = error_body(fmt::format("Process was ended during initialization because it needed more than its {} MB of memory; raise the function's memorySize",
                                            function.memory_mb),
                                "UnhandledInvocationError");
      break;
    default: {
      outcome.kind = Outcome::Kind::unhandled_error;
      auto parsed = parse_json(failure.message);
      bool complete = parsed && find(*parsed, "errorMessage");
      outcome.body = complete ? failure.message : error_body(failure.message, "InitializerError");
      break;
    }
  }
  return outcome;
}

}  // namespace mayfly::dispatch
