#include "sandbox/launch.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/json.h"
#include "sandbox/init.h"
#include "sys/fault.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {
namespace {

constexpr size_t kMaxReplyBytes = 4096;

Expected<void, LaunchError> take_doors(const sys::Message& message, Sandbox& sandbox, std::vector<sys::Fd> doors) {
  auto parsed = parse_json(message.bytes);
  if (!parsed) return fail(LaunchError::refused, "the sandbox's init sent what is not JSON");
  if (const auto* failed = find(*parsed, "failed")) {
    return fail(LaunchError::refused, "the sandbox could not be made: " + std::string(view(failed->as_string())),
                "user namespaces may be switched off (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone), or forbidden by a container's own profile");
  }
  sandbox.doors = std::move(doors);
  return {};
}

}  // namespace

// The outer process waits for the first one inside, which the kernel lets end only after every other process of its namespace.
void Sandbox::kill() { sys::kill(first_ ? first_ : child_.pidfd, SIGKILL); }

Sandbox::~Sandbox() {
  kill();
  sys::wait_status(child_);
  if (cgroup_) cgroup_->remove();
}

io::Task<Expected<std::unique_ptr<Sandbox>, LaunchError>> launch(io::Shard& shard, std::string self_path, Plan plan, std::optional<sys::Cgroup> cgroup,
                                                                 io::Deadline deadline) {
  auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
  sys::pass_credentials(ours.get());
  sys::set_nonblocking(ours.get());
  // init's environment is empty: what the program gets is in the plan.
  sys::Child child = sys::spawn({.path = self_path, .arguments = {self_path, std::string(kInitArgument)}, .inherited_fd = theirs.get()});
  theirs.reset();
  auto sandbox = std::make_unique<Sandbox>(std::move(child), std::move(ours), std::move(cgroup));
  auto entries = sandbox->cgroup() ? sandbox->cgroup()->entries() : std::vector<sys::Fd>{};
  std::vector<int> fds;
  for (const auto& entry : entries) fds.push_back(entry.get());
  sys::send_message(sandbox->control(), to_json(plan), fds);
  while (true) {
    sys::Message message;
    switch (sys::receive_message(sandbox->control(), kMaxReplyBytes, message)) {
      case sys::Received::message: {
        auto fds = std::move(message.fds);
        if (message.sender) sandbox->set_first(sys::open_pidfd(*message.sender));
        MAYFLY_CO_TRY_VOID(take_doors(message, *sandbox, std::move(fds)));
        co_return std::move(sandbox);
      }
      case sys::Received::closed:
        co_return fail(LaunchError::refused, "the sandbox's init ended without a word");
      case sys::Received::nothing:
        break;
    }
    auto ready = co_await shard.wait_readable(sandbox->control(), deadline);
    if (!ready) co_return fail(LaunchError::timed_out, "the sandbox was not ready in time");
  }
}

}  // namespace mayfly::sandbox
