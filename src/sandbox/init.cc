#include "sandbox/init.h"

#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "base/json.h"
#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {
namespace {

// Which step is being taken, for the sentence the server shows when the kernel refuses one.
struct Progress {
  const char* step = "read the plan";
};

void isolate(const Plan& plan, Progress& progress) {
  // Folders only root can reach must be taken while we still are root; an ordinary user may take trees only in a namespace of his own.
  std::vector<Tree> trees;
  bool root = started_by_root();
  progress.step = "folders of the root file system";
  if (root) trees = take_trees(plan.binds);
  progress.step = "user namespace";
  enter_user_namespace(plan.host_uid);
  progress.step = "mount namespace";
  sys::check(::unshare(CLONE_NEWNS), "unshare", "mount namespace");
  if (!root) trees = take_trees(plan.binds);
  progress.step = "uts and ipc namespaces";
  enter_uts_and_ipc_namespaces(plan.hostname);
  progress.step = "network namespace";
  enter_net_namespace();
  progress.step = "parent's death";
  die_with_parent();  // again: changing user has cleared it
  progress.step = "pid namespace";
  enter_pid_namespace();
  progress.step = "root file system";
  enter_root(std::move(trees), plan.files);
}

void send_doors(const Plan& plan) {
  std::vector<sys::Fd> doors;
  if (plan.isolation == Isolation::full) {
    for (uint16_t port : plan.doors) doors.push_back(listen_inside(port));
    if (plan.dns_door) doors.push_back(dns_socket_inside());
  }
  std::vector<int> fds;
  for (const auto& door : doors) fds.push_back(door.get());
  sys::send_message(kControlFd, to_text(json::object{{"doors", fds.size()}}), fds);
}

void become(const Plan& plan) {
  auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
  };
  ::execve(plan.command.front().c_str(), pointers(plan.command).data(), pointers(plan.environment).data());
  throw sys::Fault("execve", plan.command.front(), errno);
}

void run(Progress& progress) {
  progress.step = "parent's death";
  die_with_parent();
  progress.step = "read the plan";
  ::close_range(kControlFd + 1, ~0u, 0);  // whatever a library of the server forgot to close on exec
  sys::Message message;
  if (sys::receive_message(kControlFd, kMaxPlanBytes, message) != sys::Received::message) throw sys::Fault("recvmsg", "plan", ECONNRESET);
  Plan plan = plan_from_json(message.bytes);
  progress.step = "cgroup";
  for (const auto& entry : std::exchange(message.fds, {})) sys::write_all(entry.get(), "0", "cgroup");
  if (plan.isolation == Isolation::full) isolate(plan, progress);
  progress.step = "door";
  send_doors(plan);
  progress.step = "working directory";
  sys::check(::chdir(plan.folder.c_str()), "chdir", plan.folder);
  progress.step = "limits";
  limit_resources(plan);
  if (plan.isolation == Isolation::full) {
    progress.step = "capabilities";
    drop_bounding_set();
  }
  no_new_privileges();
  progress.step = "program";
  become(plan);
}

}  // namespace

int init_main(int, char**) {
  Progress progress;
  try {
    run(progress);
  } catch (const sys::Fault& fault) {
    sys::send_message(kControlFd, to_text(json::object{{"failed", std::string(progress.step) + ": " + fault.what()}}));
  }
  return kInitFailed;
}

}  // namespace mayfly::sandbox
