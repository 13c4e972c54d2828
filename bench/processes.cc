// What the kernel asks for calling many processes in turn instead of one, without any platform: a parent and its children on this core,
// each child answering a message over a socket pair, so many unanswered at once, each to the next child that is free.
//
//   processes CHILDREN WINDOW SECONDS [COMMAND...]
//
// The children run COMMAND, which answers what it reads from standard input on standard output; without one they only answer.
// Prints one JSON line: the rate, and the microseconds of a call. Beyond a handful of address spaces a switch costs what the core's caches
// and its translation tables have forgotten meanwhile; instances of functions pay the same.

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view kRequest = R"({"name":"mayfly"})";
constexpr size_t kReply = 100;

void need(bool ok, const char* call) {
  if (ok) return;
  std::perror(call);
  std::exit(1);
}

[[noreturn]] void answer(int fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::array<char, 512> buffer{};
  while (::read(fd, buffer.data(), buffer.size()) > 0) need(::write(fd, buffer.data(), kReply) == kReply, "write");
  std::_Exit(0);
}

int start_child(char** command) {
  int ends[2];
  need(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  int pid = ::fork();
  need(pid >= 0, "fork");
  if (pid == 0) {
    if (*command == nullptr) answer(ends[1]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(ends[1], 0);
    ::dup2(ends[1], 1);
    ::execvp(*command, command);
    need(false, *command);
  }
  ::close(ends[1]);
  return ends[0];
}

class Parent {
 public:
  Parent(size_t children, char** command) : busy_(children) {
    for (size_t i = 0; i < children; ++i) {
      children_.push_back(start_child(command));
      epoll_event event{EPOLLIN, {.u64 = i}};
      need(::epoll_ctl(poll_, EPOLL_CTL_ADD, children_[i], &event) == 0, "epoll_ctl");
    }
  }

  size_t size() const { return children_.size(); }

  void call_next() {
    send(next_);
    next_ = (next_ + 1) % children_.size();
    while (running_ > 0) receive();
  }

  size_t call_for(double seconds, size_t window) {
    size_t done = 0;
    auto end = Clock::now() + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
    while (Clock::now() < end) {
      for (; running_ < window && !busy_[next_]; next_ = (next_ + 1) % children_.size()) send(next_);
      done += receive();
    }
    return done;
  }

 private:
  void send(size_t child) {
    need(::write(children_[child], kRequest.data(), kRequest.size()) == kRequest.size(), "write");
    busy_[child] = true;
    ++running_;
  }

  size_t receive() {
    std::array<epoll_event, 64> events{};
    int ready = ::epoll_wait(poll_, events.data(), events.size(), -1);
    for (int i = 0; i < ready; ++i) {
      size_t child = events[static_cast<size_t>(i)].data.u64;
      need(::read(children_[child], buffer_.data(), buffer_.size()) > 0, "read");
      busy_[child] = false;
      --running_;
    }
    return static_cast<size_t>(std::max(ready, 0));
  }

  int poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> children_;
  std::vector<bool> busy_;
  size_t running_ = 0, next_ = 0;
  std::array<char, 512> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: processes CHILDREN WINDOW SECONDS [COMMAND...]\n", stderr);
    return 2;
  }
  size_t window = std::strtoul(argv[2], nullptr, 10);
  double seconds = std::strtod(argv[3], nullptr);
  Parent parent(std::max(1ul, std::strtoul(argv[1], nullptr, 10)), argv + 4);
  for (size_t each = 0; each < parent.size(); ++each) parent.call_next();  // all of them have begun
  parent.call_for(seconds / 4, window);
  auto began = Clock::now();
  size_t done = parent.call_for(seconds, window);
  double took = std::chrono::duration<double>(Clock::now() - began).count();
  fmt::print("{{\"per_second\":{:.0f},\"us\":{:.2f}}}\n", static_cast<double>(done) / took, took * 1e6 / static_cast<double>(done));
  return 0;
}
