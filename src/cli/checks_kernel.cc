#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/encoding.h"
#include "cli/checks.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

// Runs `probe` in a child, so that what it does to itself is gone with it. True if it returned true.
bool in_child(bool (*probe)()) {
  pid_t child = fork();
  if (child == 0) _exit(probe() ? 0 : 1);
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool enter_user_namespace() { return unshare(CLONE_NEWUSER) == 0; }
// Root needs no user namespace for the others; anybody else gets them through one.
bool enter_privilege() { return geteuid() == 0 || enter_user_namespace(); }
template <int flag>
bool enter() { return enter_privilege() && unshare(flag) == 0; }
bool mount_something() {
  return enter<CLONE_NEWNS>() && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) == 0;
}

Check verdict(std::string name, bool good, std::string found, Health otherwise, std::string without, std::string remedy) {
  if (good) return {std::move(name), Health::good, std::move(found), {}, {}};
  return {std::move(name), otherwise, "not available", std::move(without), std::move(remedy)};
}

constexpr const char* kNamespaces = "run as root, or enable user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000";

std::vector<Check> check_namespaces() {
  std::vector<Check> checks;
  checks.push_back(verdict("user namespace", in_child(enter_user_namespace), "works", geteuid() == 0 ? Health::weaker : Health::broken,
                           "functions cannot be given their own user; without root nothing is isolated", kNamespaces));
  checks.push_back(verdict("mount namespace", in_child(mount_something), "works, with private mounts", Health::broken,
                           "functions share /tmp and see the machine's files", kNamespaces));
  struct Kind {
    const char* name;
    bool (*probe)();
    const char* without;
  };
  for (const Kind& kind : {Kind{"pid namespace", enter<CLONE_NEWPID>, "functions see and could signal other processes of the same user"},
                           Kind{"net namespace", enter<CLONE_NEWNET>, "functions reach the network, and hard-coded cloud endpoints do not lead here"},
                           Kind{"ipc namespace", enter<CLONE_NEWIPC>, "functions share System V memory with the machine"},
                           Kind{"uts namespace", enter<CLONE_NEWUTS>, "functions see the machine's host name"}})
    checks.push_back(verdict(kind.name, in_child(kind.probe), "works", Health::weaker, kind.without, kNamespaces));
  return checks;
}

bool can_make_group(const std::string& parent) {
  std::string group = parent + "/mayfly-doctor-" + fmt::to_string(getpid());
  if (mkdir(group.c_str(), 0755) != 0) return false;
  rmdir(group.c_str());
  return true;
}

Check check_cgroups() {
  constexpr const char* kWithout = "memory and CPU limits of functions are not enforced by the kernel";
  constexpr const char* kRemedy = "run as root, or delegate a cgroup: systemd-run --user --scope -p Delegate=yes mayfly up";
  if (auto controllers = sys::read_file_if_exists("/sys/fs/cgroup/cgroup.controllers")) {
    std::string own = sys::read_file_if_exists("/proc/self/cgroup").value_or("0::/");
    size_t at = own.find("0::");
    std::string path = at == std::string::npos ? "/" : own.substr(at + 3, own.find('\n', at) - at - 3);
    return verdict("cgroup v2", can_make_group("/sys/fs/cgroup" + path), "writable, controllers " + std::string(trim(*controllers)), Health::weaker, kWithout, kRemedy);
  }
  std::string writable;
  for (const char* controller : {"memory", "cpu", "pids", "freezer"})
    if (can_make_group(std::string("/sys/fs/cgroup/") + controller)) writable += (writable.empty() ? "" : ", ") + std::string(controller);
  return verdict("cgroup v1", writable.find("memory") != std::string::npos, "writable: " + writable, Health::weaker, kWithout, kRemedy);
}

}  // namespace

std::vector<Check> check_kernel() {
  std::vector<Check> checks = check_namespaces();
  checks.push_back(check_cgroups());
  auto actions = sys::read_file_if_exists("/proc/sys/kernel/seccomp/actions_avail");
  bool filters = actions && actions->find("errno") != std::string::npos;
  uint32_t action = SECCOMP_RET_ERRNO;
  filters = filters || syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
  checks.push_back(verdict("seccomp", filters, "filters available", Health::weaker, "functions may use every system call of the kernel",
                           "use a kernel with CONFIG_SECCOMP_FILTER"));
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (pidfd >= 0) close(pidfd);
  checks.push_back(verdict("pidfd", pidfd >= 0, "works", Health::broken, "instances cannot be watched", "use Linux 5.3 or later"));
  return checks;
}

}  // namespace mayfly::cli
