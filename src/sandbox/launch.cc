#include "sandbox/launch.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>

#include "sandbox/protocol.h"
#include "sandbox/report.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

void Sandbox::kill() { sys::kill(parts_.keeper, SIGKILL); }
void Sandbox::freeze() { (void)sys::try_send_message(parts_.lifeline.get(), kFreeze); }  // where it has gone, nothing is left to stop
void Sandbox::thaw() { (void)sys::try_send_message(parts_.lifeline.get(), kThaw); }

Sandbox::~Sandbox() {
  kill();
  sys::wait_end(parts_.keeper);
  if (parts_.cgroup) parts_.cgroup->remove();
}

io::Task<Expected<void, LaunchError>> Sandbox::release(io::Deadline deadline) {
  sys::Fd report = std::move(parts_.report);
  MAYFLY_CHECK(static_cast<bool>(report));
  if (sys::try_send_message(report.get(), kGo) == sys::Sent::closed) co_return fail(LaunchError::refused, "the sandbox has ended");
  auto words = co_await read_report(parts_.nursery->shard(), report.get(), deadline);
  if (!words) co_return fail(LaunchError::timed_out, "the program was not started in time");
  if (!words->empty()) co_return failure_of(*words);
  co_return Expected<void, LaunchError>{};
}

// The keeper's last word, if it came to that.
void Sandbox::read_exit() try {
  // A request that the keeper did not come to read makes the kernel report a reset first, once, ahead of what the keeper had said.
  for (int pass = 0; pass < 2 && !exit_; ++pass) {
    sys::Message message;
    while (!exit_ && sys::receive_message(parts_.lifeline.get(), kMaxWordsBytes, message) == sys::Received::message) {
      int status = 0;
      if (message.bytes.size() != 1 + sizeof status || message.bytes[0] != 'x') continue;
      std::memcpy(&status, message.bytes.data() + 1, sizeof status);
      exit_ = status;
    }
  }
  if (!exit_) exit_ = SIGKILL;
} catch (const sys::Fault&) {
  exit_ = SIGKILL;  // its word is lost; that it has ended is known
}

io::Task<std::optional<int>> Sandbox::exit_status(io::Deadline deadline) {
  if (!exit_) {
    if (!co_await parts_.nursery->shard().wait_readable(parts_.keeper.get(), deadline)) co_return std::nullopt;
    read_exit();
  }
  co_return exit_;
}

io::Task<Expected<std::vector<sys::Fd>, LaunchError>> Sandbox::reply_of_keeper(sys::Fd reply, io::Deadline deadline) {
  while (true) {
    sys::Message message;
    switch (sys::receive_message(reply.get(), kMaxWordsBytes, message)) {
      case sys::Received::message:
        if (message.bytes == "k") co_return std::move(message.fds);
        co_return fail(LaunchError::refused, message.bytes);
      case sys::Received::closed:
        co_return fail(LaunchError::refused, "the sandbox has ended");
      case sys::Received::nothing:
        break;
    }
    if (!co_await parts_.nursery->shard().wait_readable(reply.get(), deadline)) co_return fail(LaunchError::timed_out, "the sandbox did not answer in time");
  }
}

io::Task<Expected<sys::Fd, LaunchError>> Sandbox::tcp_socket(io::Deadline deadline) {
  try {
    auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
    sys::set_nonblocking(ours.get());
    int far = theirs.get();
    (void)sys::try_send_message(parts_.lifeline.get(), "T", {&far, 1});  // where it has gone, the reply socket says so
    theirs.reset();
    MAYFLY_CO_TRY(auto given, co_await reply_of_keeper(std::move(ours), deadline));
    MAYFLY_CHECK_OP(given.size(), ==, size_t{1});
    co_return std::move(given.front());
  } catch (const sys::Fault& fault) {  // out of descriptors
    co_return fail(LaunchError::refused, fault.what());
  }
}

io::Task<Expected<void, LaunchError>> Sandbox::mount(std::vector<Bind> binds, io::Deadline deadline) {
  try {
    auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
    sys::set_nonblocking(ours.get());
    std::string order = to_text(json::object{{"mount", binds_to_value(binds)}});
    bool sent = co_await parts_.nursery->send(std::move(order), {parts_.lifeline.get(), theirs.get()}, deadline);
    if (!sent) co_return fail(LaunchError::timed_out, "the sandbox nursery did not take the mount in time");
    theirs.reset();
    MAYFLY_CO_TRY(auto nothing, co_await reply_of_keeper(std::move(ours), deadline));
    co_return Expected<void, LaunchError>{};
  } catch (const sys::Fault& fault) {  // out of descriptors, or no program to be the nursery
    co_return fail(LaunchError::refused, fault.what());
  }
}

}  // namespace mayfly::sandbox
