#include "instance.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace mayfly::detail {
namespace {

using Clock = std::chrono::steady_clock;

// Answers gather no longer than this while further calls are at hand.
constexpr std::chrono::microseconds kLongestGather(100);

uint64_t microseconds(Clock::duration took) { return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()); }

void complain(const std::exception& error) { std::fprintf(stderr, "mayfly: the server sent %s\n", error.what()); }

// Where the machine has no cgroups: a limit on what may still be allocated, with room for the stacks of the threads.
void limit_memory(uint64_t more_bytes) {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t used_kib = 0;
  while (status >> word)
    if (word == "VmData:" && status >> used_kib) break;
  rlim_t limit = (used_kib << 10) + more_bytes;
  rlimit both{limit, limit};
  if (::setrlimit(RLIMIT_DATA, &both) < 0) std::perror("mayfly: setrlimit RLIMIT_DATA");
}

std::string names_of(const std::vector<Function>& functions) {
  std::string out;
  for (const Function& function : functions) out += (out.empty() ? "" : ", ") + function.name();
  return out;
}

void set_keys(std::string_view keys) {
  InstanceAbout nobody;
  Credentials each = Context(nobody, {}, keys, 0, {}).credentials();
  ::setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", std::string(each.access_key_id).c_str(), 1);
  ::setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", std::string(each.access_key_secret).c_str(), 1);
  ::setenv("ALIBABA_CLOUD_SECURITY_TOKEN", std::string(each.security_token).c_str(), 1);
}

std::string text_of(const Json& value) { return std::string(value.text()); }

}  // namespace

const Function* choose(const std::vector<Function>& functions, std::string_view handler, std::string_view program, std::string& why) {
  std::string_view base = handler.substr(handler.rfind('/') + 1);
  size_t dot = base == program ? base.npos : base.rfind('.');
  std::string_view wanted = dot == base.npos ? base : base.substr(dot + 1);
  for (const Function& function : functions)
    if (function.name() == wanted) return &function;
  if (dot == base.npos && functions.size() == 1) return &functions.front();
  why = "Handler '" + std::string(handler) + "' names no function of this program; it has: " + names_of(functions);
  return nullptr;
}

void Instance::fail(std::string body) { link_.send({.kind = FrameKind::failed}, {}, body, When::now); }

void Instance::take(const Json& start) {
  about_.id = text_of(start["instance_id"]);
  about_.region = text_of(start["region"]);
  about_.account = text_of(start["account"]);
  const Json &function = start["function"], &service = start["service"], &keys = start["credentials"];
  about_.function = {text_of(function["name"]), text_of(function["handler"]), function["memory"].integer(), function["timeout"].integer()};
  about_.service = {text_of(service["name"]), text_of(service["log_project"]), text_of(service["log_store"]), text_of(service["qualifier"]), text_of(service["version_id"])};
  place_.emplace(start["cores"]);
  place_->free();  // threads made from now on are free too
  keys_ = text_of(keys[0]) + '\0' + text_of(keys[1]) + '\0' + text_of(keys[2]);
  concurrency_ = static_cast<size_t>(std::max<int64_t>(start["concurrency"].integer(1), 1));
  for (const auto& [name, value] : start["environment"].members()) ::setenv(name.c_str(), text_of(value).c_str(), 1);
  ::setenv("FC_INSTANCE_ID", about_.id.c_str(), 1);
  set_keys(keys_);
  constexpr uint64_t kStack = 8 << 20;
  auto memory = static_cast<uint64_t>(std::max<int64_t>(start["memory_bytes"].integer(), 0));
  if (memory != 0) limit_memory(memory + (concurrency_ > 1 ? concurrency_ * kStack : 0));
}

// The function to serve, initialized; null when that failed and the server was told.
const Function* Instance::start(const Frame& frame) {
  auto began = Clock::now();
  Json start = Json::parse(frame.payload);
  take(start);
  if (start["memfd"].truth()) link_.allow_files();
  std::string why;
  const Function* function = choose(functions_, start["handler"].text(about_.function.handler), program_, why);
  std::string_view initializer = start["initializer"].text();
  if (function && !initializer.empty() && !function->initializer())
    why = "Initializer '" + std::string(initializer) + "' is asked for, but function '" + function->name() + "' has none";
  if (!why.empty()) return fail(error_body(why, "HandlerNotFound")), nullptr;
  try {
    if (function->initializer()) link_.send({.kind = FrameKind::imported}, {}, {}, When::now);
    Caller(*function, about_, link_).run(function->initializer(), start["request_id"].text(), keys_);
  } catch (...) {
    return fail(error_body()), nullptr;
  }
  uint64_t took = microseconds(Clock::now() - began);
  std::fflush(stdout);
  link_.send({.kind = FrameKind::ready, .duration_us = took}, Json{{"memfd", true}, {"import_us", 0}, {"init_us", took}}.dump(), {}, When::now);
  return function;
}

int Instance::run() try {
  auto frame = link_.next();
  if (!frame) return 0;  // the server changed its mind
  if (frame->header.kind != FrameKind::start) throw LinkError("a call before the start");
  const Function* function = start(*frame);
  if (!function) return 1;
  Caller caller(*function, about_, link_);
  alone_ = concurrency_ == 1 || function->runs_on_one_thread();
  if (alone_) serve_on_this_thread(caller);
  else serve_on_threads(caller);
  if (!stopped_) caller.run_hook({"preStop", {}, keys_});  // the server closed the link without asking for it
  return 0;
} catch (const std::exception& error) {
  complain(error);
  return 1;
}

// A call or hook, with what the instance notes of it. setenv is no call to make beside threads that read the environment.
std::optional<Frame> Instance::next() {
  auto frame = link_.next();
  if (!frame) return frame;
  if (frame->header.kind == FrameKind::start) throw LinkError("a second start");
  std::string_view keys;
  if (frame->header.kind == FrameKind::hook) {
    HookMeta hook = hook_meta(frame->meta);
    stopped_ |= hook.name == "preStop";
    keys = hook.keys;
  } else {
    keys = call_meta(frame->meta).keys;
  }
  if (keys.empty() || keys == keys_) return frame;
  keys_ = keys;
  if (alone_) set_keys(keys_);
  return frame;
}

void Instance::serve_on_this_thread(Caller& caller) {
  auto flushed = Clock::now(), ended = flushed;
  while (auto frame = next()) {
    auto began = Clock::now();
    ended = caller.answer(*frame, began, When::later);
    place_->after_call(ended - began);
    if (ended - flushed > kLongestGather) {
      link_.flush();
      flushed = ended;
    }
  }
}

void Instance::serve_on_threads(Caller& caller) {
  Crew crew(caller, concurrency_);
  while (auto frame = next()) crew.add(*frame);
}

Crew::~Crew() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::add(const Frame& frame) {
  Work work{frame.header, {}, Clock::now()};
  work.bytes.reserve(frame.meta.size() + frame.payload.size());
  work.bytes.append(frame.meta).append(frame.payload);
  std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(work));
  if (idle_ >= waiting_.size()) ready_.notify_one();
  else if (threads_.size() < most_) threads_.emplace_back([this] { this->work(); });
}

void Crew::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    ready_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) return;
    Work work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    std::string_view bytes = work.bytes;
    caller_.answer({work.header, bytes.substr(0, work.header.meta_size), bytes.substr(work.header.meta_size)}, work.came, When::now);
    lock.lock();
  }
}

}  // namespace mayfly::detail
