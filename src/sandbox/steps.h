#pragma once
// The steps of a sandbox, one kernel facility per file. Each is called once, by the nursery (nursery_process.cc), by the keeper (keeper.cc) or by
// what becomes the program (program.cc), in the order listed there; each failure is a sys::Fault that names the call. None is called in
// the server.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"

namespace mayfly::sandbox {

// user.cc. The nursery of an ordinary user makes itself root over a user and a mount namespace of its own, so that it may do for its
// keepers what root's nursery may.
void become_root_of_own_namespaces();
bool started_by_root();
// Makes the process `pid`, which was cloned into a new user namespace, root there; outside it is `host_uid`, user and group.
void map_root(pid_t pid, uint32_t host_uid);
void become_mapped_root();  // by that process, once it is mapped

// mount.cc: the root file system.
struct Tree {
  sys::Fd mount;  // a detached, read-only copy of a host folder or file
  std::string target;
};
std::vector<Tree> take_trees(const std::vector<Bind>& binds);
// The template: a tmpfs with the trees, /dev, /proc and /tmp in it becomes "/", read-only; the host's is gone. All sandboxes share it and
// copy its mount namespace, because taking the host's mounts out of a namespace makes the kernel wait for all its processors, each time.
// Returns the way to write to it still, for:
sys::Fd enter_root(std::vector<Tree> trees);
void make_mount_points(const sys::Fd& root, const std::vector<Tree>& trees);
void make_file_links(const sys::Fd& root, const std::map<std::string, std::string>& files);
// In a sandbox's copy of it:
void mount_own();  // /proc, /tmp, /dev/shm, and what write_files writes to
void attach_trees(const std::vector<Tree>& trees);
void write_files(const std::map<std::string, std::string>& files);
void make_private(uint64_t tmp_bytes);  // for a confined program: /tmp of its size, /proc read-only

// pid.cc
void die_with_parent();    // SIGKILL when the process that started us ends
// A child by the clone flags given (new namespaces), or none; 0 in the child.
pid_t fork_into(uint64_t namespaces);

// uts.cc
void name_host(const std::string& hostname);

// net.cc: a network of nothing but a loopback, and the sockets of the door.
void enter_net_namespace();  // a new one
void drop_granted_addresses();  // what the loopback got beside its own, for an earlier function's egress
sys::Fd listen_inside(uint16_t port);  // 127.0.0.1
sys::Fd dns_socket_inside();           // UDP 127.0.0.1:53
sys::Fd tcp_socket_inside();           // not connected, non-blocking

// cores.cc
void run_on(const std::vector<int>& cores);

// rlimit.cc
void limit_resources(const Plan& plan);
// The program and all that it starts never interrupt the server when they are woken: it gathers what there is for them, and they run
// when it waits or its share of the core is used up.
void run_in_batches();

// capabilities.cc
void drop_bounding_set();      // all that a zygote does not need to shut its workers in: by the keeper, for all that it forks
void drop_all_capabilities();  // from every set, after the keeper did that
void no_new_privileges();    // no set-uid program gives any back

// filter.cc; after no_new_privileges.
void install_filter(const std::string& program);

}  // namespace mayfly::sandbox
