#include "sandbox/nursery.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/sync.h"
#include "sandbox/protocol.h"
#include "sandbox/report.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

constexpr int kGroupTries = 100;          // to remove the cgroup of a launch that failed, whose processes may still be ending
constexpr int64_t kGroupRetryUs = 10'000;

using Launched = Expected<std::unique_ptr<Sandbox>, LaunchError>;

// The server's ends of what a launch hands down.
struct Ends {
  sys::Fd lifeline, report, program, output;
};

std::pair<sys::Fd, sys::Fd> make_pipe() {
  int ends[2];
  sys::check(::pipe2(ends, O_CLOEXEC), "pipe");
  sys::set_nonblocking(ends[0]);
  return {sys::Fd(ends[0]), sys::Fd(ends[1])};
}

std::pair<Ends, Launch> connect(const Plan& plan, const std::optional<sys::Cgroup>& cgroup) {
  Ends near;
  Launch far;
  std::tie(near.lifeline, far.lifeline) = sys::socket_pair(SOCK_SEQPACKET);
  std::tie(near.report, far.report) = plan.held ? sys::socket_pair(SOCK_SEQPACKET) : make_pipe();
  if (plan.held) sys::set_nonblocking(near.report.get());
  sys::set_nonblocking(near.lifeline.get());
  if (has_program_fd(plan)) {
    std::tie(near.program, far.program) = sys::socket_pair(plan.confined ? SOCK_STREAM : SOCK_SEQPACKET);
    sys::set_nonblocking(near.program.get());
  }
  if (plan.confined) std::tie(near.output, far.output) = make_pipe();
  if (cgroup) far.entries = cgroup->entries();
  return {std::move(near), std::move(far)};
}

// The keeper's first message; closed if it ended without one.
io::Task<std::optional<sys::Message>> read_announcement(io::Shard& shard, int lifeline, io::Deadline deadline) {
  while (true) {
    sys::Message message;
    switch (sys::receive_message(lifeline, kMaxWordsBytes, message)) {
      case sys::Received::message:
        co_return message;
      case sys::Received::closed:
        co_return std::nullopt;
      case sys::Received::nothing:
        break;
    }
    if (!co_await shard.wait_readable(lifeline, deadline)) co_return std::nullopt;
  }
}

io::Task<void> remove(io::Shard& shard, std::optional<sys::Cgroup> cgroup) {
  for (int tries = 0; cgroup && tries < kGroupTries && !cgroup->remove(); ++tries) co_await io::sleep_us(shard, kGroupRetryUs);
}

// One try. Gives the cgroup back when there is no sandbox.
io::Task<Launched> try_launch(std::shared_ptr<NurseryLink> nursery, const Plan& plan, const std::string& order, std::optional<sys::Cgroup>& cgroup, io::Deadline deadline) {
  io::Shard& shard = nursery->shard();
  auto [near, far] = connect(plan, cgroup);
  bool sent = co_await nursery->send(order, fds_of(far, With::lifeline), deadline);
  far = {};
  if (!sent) co_return fail(LaunchError::timed_out, "the sandbox nursery did not take the plan in time");
  auto words = co_await read_report(shard, near.report.get(), deadline);
  if (!words) co_return fail(LaunchError::timed_out, "the sandbox was not ready in time");
  auto message = co_await read_announcement(shard, near.lifeline.get(), deadline);
  if (!message) co_return fail(LaunchError::refused, "the sandbox's first process ended without a word", kLaunchHint);
  auto announced = parse_json(message->bytes);
  MAYFLY_CHECK(announced.has_value());
  if (const auto* failed = find(*announced, "failed")) co_return failure_of(std::string(view(failed->as_string())));
  MAYFLY_CHECK_OP(message->fds.size(), >=, size_t{2});
  auto sandbox = std::make_unique<Sandbox>(Sandbox::Parts{.nursery = nursery,
                                                          .lifeline = std::move(near.lifeline),
                                                          .keeper = std::move(message->fds[0]),
                                                          .program = std::move(message->fds[1]),
                                                          .control = plan.confined ? sys::Fd() : std::move(near.program),
                                                          .report = plan.held ? std::move(near.report) : sys::Fd(),
                                                          .cgroup = std::exchange(cgroup, std::nullopt)});
  if (!words->empty() && *words != kHolds) co_return failure_of(*words);
  if (plan.held && words->empty()) co_return fail(LaunchError::refused, "the sandbox ended while it was made", kLaunchHint);
  if (plan.confined) sandbox->frames = std::move(near.program);
  sandbox->output = std::move(near.output);
  sandbox->doors.assign(std::make_move_iterator(message->fds.begin() + 2), std::make_move_iterator(message->fds.end()));
  co_return std::move(sandbox);
}

}  // namespace

io::Task<Launched> Nursery::launch(Plan plan, std::optional<sys::Cgroup> cgroup, io::Deadline deadline) {
  auto link = link_;
  std::string order = to_text(json::object{{"launch", to_value(plan)}});
  if (order.size() > kMaxPlanBytes) {
    co_await remove(link->shard(), std::move(cgroup));
    co_return fail(LaunchError::refused, too_large(order.size()));
  }
  Launched launched;
  try {
    uint64_t process = link->running();
    bool grouped = cgroup.has_value();
    launched = co_await try_launch(link, plan, order, cgroup, deadline);
    // A nursery that was killed takes the launches with it that it had not yet handed on.
    bool again = !launched && launched.error().code == LaunchError::refused && cgroup.has_value() == grouped;
    if (again && (link->ended() || link->running() != process)) {
      launched = co_await try_launch(link, plan, order, cgroup, deadline);
    }
  } catch (const sys::Fault& fault) {  // out of descriptors, or no program to be the nursery
    launched = fail(LaunchError::refused, fault.what());
  }
  if (!launched) co_await remove(link->shard(), std::move(cgroup));
  co_return launched;
}

}  // namespace mayfly::sandbox
