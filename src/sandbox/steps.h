#pragma once
// The steps of a sandbox, one kernel facility per file. Each is called once by init.cc, in the order listed there, inside the process
// that becomes the sandbox's init; each failure is a sys::Fault that names the call. None is called in the server.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"

namespace mayfly::sandbox {

// user.cc: a user namespace in which we are root. Outside, that root is `host_uid` (when we were started by root) or ourselves.
void enter_user_namespace(uint32_t host_uid);
bool started_by_root();

// mount.cc: the root file system.
struct Tree {
  sys::Fd mount;  // a detached, read-only copy of a host folder or file
  std::string target;
  bool folder = true;
};
// Taken before the user namespace when root (folders only root can reach), after it otherwise.
std::vector<Tree> take_trees(const std::vector<Bind>& binds);
// A tmpfs with the trees, the files, /dev, /proc and /tmp in it becomes "/", read-only; the host's is gone.
void enter_root(std::vector<Tree> trees, const std::map<std::string, std::string>& files);

// pid.cc
void die_with_parent();    // SIGKILL when the process that started us ends
// Forks the first process of a new pid namespace and returns in it. The caller's process stays outside as its parent: it waits, ends as
// the child ended, and never returns.
void enter_pid_namespace();

// uts_ipc.cc: own host name, own System V IPC and POSIX queues.
void enter_uts_and_ipc_namespaces(const std::string& hostname);

// net.cc: a network of nothing but a loopback, and the sockets of the door.
void enter_net_namespace();
sys::Fd listen_inside(uint16_t port);  // 127.0.0.1
sys::Fd dns_socket_inside();           // UDP 127.0.0.1:53

// rlimit.cc
void limit_resources(const Plan& plan);

// capabilities.cc: out of the bounding set goes everything the zygote does not need to shut its workers in; no set-uid program gives
// privileges back.
void drop_bounding_set();
void no_new_privileges();

}  // namespace mayfly::sandbox
