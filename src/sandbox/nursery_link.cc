#include "sandbox/nursery_link.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/encoding.h"
#include "base/json.h"
#include "io/sync.h"
#include "sandbox/init.h"
#include "sandbox/seccomp.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

constexpr int64_t kBehindUs = 1'000;                 // between tries when the nursery's queue is full: it takes well under 1 ms for each
constexpr int64_t kEndGraceUs = 5 * kMicrosPerSecond;

}  // namespace

NurseryLink::~NurseryLink() {
  if (child_.pid < 0) return;
  sys::kill(child_.pidfd, SIGKILL);
  sys::wait_status(child_);
}

void NurseryLink::start() {
  auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
  sys::set_nonblocking(ours.get());
  // Its environment is empty: what a program gets is in its plan.
  child_ = sys::spawn({.path = options_.self_path, .arguments = {options_.self_path, std::string(kInitArgument)}, .inherited_fd = theirs.get()});
  socket_ = std::move(ours);
  ++started_;
  sys::send_message(socket_.get(), to_text(json::object{{"seccomp", base64_encode(seccomp_program())}, {"ready", options_.ready}}));
}

// A process that ends closes its socket first, and the launches in it, and is to be waited for only somewhat later.
bool NurseryLink::ended() const {
  pollfd ends[] = {{child_.pidfd.get(), POLLIN, 0}, {socket_.get(), 0, 0}};
  return child_.pid < 0 || ::poll(ends, 2, 0) > 0;
}

void NurseryLink::bury() {
  int status = sys::wait_status(child_);
  child_ = {};
  socket_.reset();
  fmt::print(stderr, "mayfly: the sandbox nursery ended ({} {}); another is started\n", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

uint64_t NurseryLink::running() {
  if (child_.pid >= 0 && ended()) bury();
  if (child_.pid < 0) start();
  return started_;
}

io::Task<bool> NurseryLink::send(std::string message, std::vector<int> fds, io::Deadline deadline) {
  for (bool again = true;;) {
    running();
    switch (sys::try_send_message(socket_.get(), message, fds)) {
      case sys::Sent::message:
        co_return true;
      case sys::Sent::closed:
        if (!std::exchange(again, false)) throw sys::Fault("sendmsg", "the sandbox nursery", EPIPE);
        co_await await_end();
        break;
      case sys::Sent::full:
        if (deadline.passed(shard_)) co_return false;
        co_await io::sleep_us(shard_, kBehindUs);
    }
  }
}

// By a descriptor of its own: others may wait meanwhile, and one of them buries it.
io::Task<void> NurseryLink::await_end() {
  sys::Fd end = child_.pidfd.duplicate();
  if (!end) throw sys::Fault("fcntl", "the sandbox nursery", EMFILE);
  (void)co_await shard_.wait_readable(end.get(), io::Deadline::after_us(shard_, kEndGraceUs));
}

io::Task<void> NurseryLink::stop() {
  if (child_.pid < 0) co_return;
  socket_.reset();  // the order to end
  if (!co_await shard_.wait_readable(child_.pidfd.get(), io::Deadline::after_us(shard_, kEndGraceUs))) sys::kill(child_.pidfd, SIGKILL);
  sys::wait_status(child_);
  child_ = {};
}

}  // namespace mayfly::sandbox
