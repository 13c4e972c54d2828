#pragma once
// For tests with real sandboxes: a shard on a thread of its own, a nursery on it, confined programs and what they printed.

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <future>
#include <thread>

#include "io/group.h"
#include "io/shard.h"
#include "sandbox/etc.h"
#include "sandbox/nursery.h"
#include "sys/file.h"

namespace mayfly::sandbox {

constexpr std::string_view kServeArgument = "--serve-until-killed";

inline Plan confined_plan(std::vector<std::string> command) {
  return {.hostname = "test",
          .binds = system_binds(),
          .files = etc_files({.account = "1", .region = "cn-hangzhou", .hostname = "test"}),
          .doors = {80, 443, 8080},
          .dns_door = true,
          .confined = true,
          .command = std::move(command),
          .environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"},
          .folder = "/"};
}

// What `python` prints inside a confined sandbox.
inline Plan python_plan(const std::string& program) { return confined_plan({"/usr/bin/python3", "-S", "-s", "-B", "-c", program}); }

class InNursery : public testing::Test {
 protected:
  using Launched = Expected<std::unique_ptr<Sandbox>, LaunchError>;
  static constexpr int64_t kLongUs = 20 * kMicrosPerSecond;

  void SetUp() override {
    char folder[] = "/tmp/mayfly-test-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    thread_ = std::jthread([this] { shard_.run(); });
  }
  void TearDown() override {
    wait<void>([this] { return nursery_.stop(); });
    wait<void>([this] { return group_.drain(); }, Drain::yes);
    shard_.stop();
    thread_.join();
    sys::remove_tree(folder_);
  }

  enum class Drain { no, yes };
  template <class T>
  T wait(std::function<io::Task<T>()> make_task, Drain drain = Drain::no) {
    std::promise<T> done;
    auto& group = drain == Drain::yes ? drainer_ : group_;
    shard_.post([&] { group.spawn(fulfil<T>(make_task(), done)); });
    return done.get_future().get();
  }
  io::Deadline soon(int64_t us = kLongUs) { return io::Deadline::after_us(shard_, us); }

  Launched launch(Plan plan, std::optional<sys::Cgroup> cgroup = {}) {
    return wait<Launched>([&] { return nursery_.launch(std::move(plan), std::move(cgroup), soon()); });
  }
  std::unique_ptr<Sandbox> launched(Plan plan, std::optional<sys::Cgroup> cgroup = {}) {
    auto out = launch(std::move(plan), std::move(cgroup));
    if (!out) throw std::runtime_error(out.error().message + " (" + out.error().hint + ")");
    return std::move(*out);
  }
  std::optional<int> status_of(Sandbox& sandbox, int64_t us = kLongUs) {
    return wait<std::optional<int>>([&] { return sandbox.exit_status(soon(us)); });
  }

  Expected<void, LaunchError> mount(Sandbox& sandbox, std::vector<Bind> binds) {
    return wait<Expected<void, LaunchError>>([&] { return sandbox.mount(std::move(binds), soon()); });
  }
  Expected<void, LaunchError> release(Sandbox& sandbox) {
    return wait<Expected<void, LaunchError>>([&] { return sandbox.release(soon()); });
  }
  Expected<sys::Fd, LaunchError> tcp_socket(Sandbox& sandbox) {
    return wait<Expected<sys::Fd, LaunchError>>([&] { return sandbox.tcp_socket(soon()); });
  }

  // The next piece of what `fd` gives, waiting for it; empty at its end.
  static std::string next_piece(const sys::Fd& fd) {
    pollfd readable{fd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, kLongUs / 1000), 1);
    char buffer[65536];
    ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    return {buffer, static_cast<size_t>(std::max<ssize_t>(got, 0))};
  }
  static std::string all_of(const sys::Fd& fd) {
    std::string out;
    for (std::string piece; !(piece = next_piece(fd)).empty();) out += piece;
    return out;
  }
  // Runs the plan to its end: what was printed.
  std::string printed_by(Plan plan, std::optional<sys::Cgroup> cgroup = {}) {
    auto sandbox = launched(std::move(plan), std::move(cgroup));
    std::string out = all_of(sandbox->output);
    if (auto status = status_of(*sandbox); status != 0) out += fmt::format("[status {}]", status.value_or(-1));
    return out;
  }

  io::Shard shard_{0};
  std::jthread thread_;
  io::TaskGroup group_{shard_}, drainer_{shard_};
  Nursery nursery_{shard_, {.self_path = sys::self_path()}};
  std::string folder_;

 private:
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

}  // namespace mayfly::sandbox
