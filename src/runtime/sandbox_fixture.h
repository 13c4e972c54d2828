#pragma once
// For tests with real sandboxes: a shard on a thread of its own, a factory on it, functions written as Python text.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "base/rng.h"
#include "io/group.h"
#include "runtime/instance.h"
#include "sys/file.h"

namespace mayfly::runtime {

// Makes the test binary a small server that waits to be killed; then a folder with index.py follows.
constexpr std::string_view kServeArgument = "--serve-until-killed";

// A door that answers every connection with one fixed line and remembers which doors were opened.
class TestDoors final : public DoorKeeper {
 public:
  explicit TestDoors(io::Shard& shard) : shard_(shard), tasks_(shard) {}
  void open(const std::string& door, DoorSocket socket) override {
    opened.push_back(door + " " + socket.scheme);
    auto listener = std::shared_ptr<io::Listener>(shard_.adopt_listener(std::move(socket.listener)));
    listeners_.emplace(door, listener);
    tasks_.spawn(serve(listener));
  }
  void close(const std::string& door) override {
    closed.push_back(door);
    auto [from, to] = listeners_.equal_range(door);
    for (auto each = from; each != to; ++each) each->second->close();
    listeners_.erase(from, to);
  }
  io::Task<void> drain() { return tasks_.drain(); }

  std::vector<std::string> opened, closed;

 private:
  static io::Task<void> serve(std::shared_ptr<io::Listener> listener) {
    while (auto stream = co_await listener->accept()) {
      char request[4096];
      (void)co_await stream->read_some(request, io::Deadline::never());
      (void)co_await stream->write_all("HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nthe door", io::Deadline::never());
    }
  }
  io::Shard& shard_;
  io::TaskGroup tasks_;
  std::multimap<std::string, std::shared_ptr<io::Listener>> listeners_;
};

class InSandbox : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/mayfly-test-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    thread_ = std::jthread([this] { shard_.run(); });
    options_.runtimes_folder = std::string(MAYFLY_SOURCE_DIR) + "/runtimes";
    options_.built_folder = std::filesystem::path(sys::self_path()).parent_path().parent_path() / "runtimes";
    options_.state_folder = folder_ + "/state";
    options_.platform_port = 8080;
    options_.account = "1234567890";
    options_.region = "cn-hangzhou";
    if (const char* libraries = ::getenv("MAYFLY_TEST_LIBRARIES")) options_.libraries_folder = libraries;
    before();
    on_shard([this] { make(); });
  }
  void TearDown() override {
    stop_factory();
    shard_.stop();
    thread_.join();
    sys::remove_tree(folder_);
  }
  virtual void before() {}  // changes options_

  void make() { factory_ = make_instance_factory(shard_, doors_, options_, rng_); }
  void stop_factory() {
    if (!factory_) return;
    wait<void>([this] { return factory_->stop(); });
    on_shard([this] { factory_.reset(); });
    wait<void>([this] { return doors_.drain(); });
    wait<void>([this] { return group_.drain(); }, Drain::yes);
  }

  // Runs `work` on the shard and waits for it here.
  void on_shard(std::function<void()> work) {
    std::promise<void> done;
    shard_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }
  enum class Drain { no, yes };
  template <class T>
  T wait(std::function<io::Task<T>()> make_task, Drain drain = Drain::no) {
    std::promise<T> done;
    auto& group = drain == Drain::yes ? drainer_ : group_;
    shard_.post([&] { group.spawn(fulfil<T>(make_task(), done)); });
    return done.get_future().get();
  }

  // A function whose index.py is `code`; change it before start.
  std::shared_ptr<functions::Runnable> function(const std::string& code) {
    auto runnable = std::make_shared<functions::Runnable>();
    runnable->revision = ++revisions_;
    runnable->code_path = folder_ + "/code" + std::to_string(revisions_);
    sys::make_folders(runnable->code_path);
    sys::write_file(runnable->code_path + "/index.py", code);
    runnable->service.name = runnable->function.service = "photos";
    runnable->function.name = "detect-" + std::to_string(revisions_);
    runnable->function.runtime = "python3";
    runnable->function.handler = "index.handler";
    runnable->function.timeout_s = 5;
    runnable->function.memory_mb = 128;
    return runnable;
  }
  Expected<std::unique_ptr<Instance>, StartError> start(std::shared_ptr<const functions::Runnable> runnable) {
    StartContext context{.runnable = std::move(runnable), .account = options_.account, .region = options_.region, .credentials = credentials_};
    context.printed = [this](const std::string& instance, const std::string& request, std::string text) { printed_.push_back({instance, request, std::move(text)}); };
    return wait<Expected<std::unique_ptr<Instance>, StartError>>([&] { return factory_->start(std::move(context)); });
  }
  std::unique_ptr<Instance> started(std::shared_ptr<const functions::Runnable> runnable) {
    auto instance = start(std::move(runnable));
    if (!instance) throw std::runtime_error(instance.error().message + " " + instance.error().hint + "\n" + printed());
    return std::move(*instance);
  }
  Reply call(Instance& instance, std::string payload, int64_t timeout_us = 20 * kMicrosPerSecond, std::string http = {}) {
    std::string id = fmt::format("request-{}", ++requests_);
    return wait<Reply>([&] {
      return instance.call({.request_id = id,
                            .payload = std::move(payload),
                            .http = std::move(http),
                            .credentials = credentials_,
                            .deadline = io::Deadline::after_us(shard_, timeout_us)});
    });
  }
  // A call that goes on while the test does something else.
  std::future<Reply> begin(Instance& instance, std::string payload, int64_t timeout_us = 20 * kMicrosPerSecond, std::shared_ptr<Streams> streams = {}) {
    auto done = std::make_shared<std::promise<Reply>>();
    auto reply = done->get_future();
    Call call{.request_id = fmt::format("request-{}", ++requests_), .payload = std::move(payload), .credentials = credentials_, .streams = std::move(streams)};
    shard_.post([this, &instance, call = std::move(call), timeout_us, done]() mutable {
      call.deadline = io::Deadline::after_us(shard_, timeout_us);
      group_.spawn(answer(instance.call(std::move(call)), done));
    });
    return reply;
  }
  void stop(std::unique_ptr<Instance> instance) {
    wait<void>([&] { return instance->stop(io::Deadline::after_us(shard_, kMicrosPerSecond)); });
    on_shard([&] { instance.reset(); });
  }
  Reply run_once(const std::string& code, std::string payload = {}) {
    auto instance = started(function(code));
    Reply reply = call(*instance, std::move(payload));
    stop(std::move(instance));
    return reply;
  }
  // What a Python expression gives inside, as JSON text; an exception gives its type's name and message.
  std::string inside(const std::string& expression, const std::string& imports = "") {
    Reply reply = run_once("import os, socket, ctypes, subprocess\n" + imports + "\ndef handler(event, context):\n    return " + expression + "\n");
    return reply.body;
  }
  // The ids of hooks, which nobody knows before, as "*".
  std::string printed() {
    std::string all;
    on_shard([&] {
      for (const auto& piece : printed_) all += piece.text;
    });
    constexpr std::string_view kBefore = "RequestId: ";
    constexpr size_t kIdBytes = 36;
    for (size_t at = 0; (at = all.find(kBefore, at)) != std::string::npos;) {
      at += kBefore.size();
      if (std::min(all.find_first_not_of("0123456789abcdef-", at), all.size()) - at >= kIdBytes) all.replace(at, kIdBytes, "*");
    }
    return all;
  }
  // What is printed by a hook, with the lines around it.
  static std::string hooked(const std::string& name, const std::string& text, const std::string& error = {}) {
    return fmt::format("FC {0} Start RequestId: *\n{1}FC {0} End RequestId: *{2}\n", name, text, error);
  }
  // Of a function that answers how far it has counted, about once a millisecond, beside its calls: whether it goes on ...
  bool counts_on(Instance& instance) {
    constexpr int kTries = 1000;
    int64_t before = std::stoll(call(instance, "").body);
    for (int tries = 0; tries < kTries; ++tries) {
      wait<void>([&] { return io::sleep_us(shard_, 10 * kMicrosPerMilli); });
      if (std::stoll(call(instance, "").body) > before + 100) return true;
    }
    return false;
  }
  // ... and how far it gets in 300 ms in which it is frozen.
  int64_t counted_while_frozen(Instance& instance) {
    int64_t before = std::stoll(call(instance, "").body);
    wait<void>([&] { return instance.freeze(); });
    wait<void>([&] { return io::sleep_us(shard_, 300 * kMicrosPerMilli); });
    return std::stoll(call(instance, "").body) - before;
  }

  struct Piece {
    std::string instance, request, text;
  };
  io::Shard shard_{0};
  std::jthread thread_;
  SystemRng rng_;
  TestDoors doors_{shard_};
  io::TaskGroup group_{shard_}, drainer_{shard_};
  RuntimeOptions options_;
  auth::Credentials credentials_{"STS.key", "secret", "token", 0};
  std::unique_ptr<InstanceFactory> factory_;
  std::string folder_;
  std::vector<Piece> printed_;  // touched on the shard's thread only
  std::atomic<int> requests_ = 0;
  uint64_t revisions_ = 0;

 private:
  static io::Task<void> answer(io::Task<Reply> task, std::shared_ptr<std::promise<Reply>> done) { done->set_value(co_await std::move(task)); }
  template <class T>
  static io::Task<void> fulfil(io::Task<T> task, std::promise<T>& done) {
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        done.set_value();
      } else {
        done.set_value(co_await std::move(task));
      }
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  }
};

}  // namespace mayfly::runtime
