#include "sandbox/seccomp.h"

#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "sys/fault.h"
#include "sys/fd.h"

namespace mayfly::sandbox {
namespace {

constexpr const char* kRefused[] = {
    // the file system's shape
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "swapon", "swapoff", "quotactl", "quotactl_fd", "open_by_handle_at", "name_to_handle_at", "fanotify_init", "fanotify_mark",
    // namespaces
    "unshare", "setns",
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    // large or old kernel surfaces that functions do not use
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret", "lookup_dcookie", "uselib", "ustat",
    "sysfs", "_sysctl", "nfsservctl", "vmsplice", "modify_ldt", "vm86", "vm86old", "iopl", "ioperm", "mbind", "set_mempolicy", "move_pages", "migrate_pages",
    "set_mempolicy_home_node", "lsm_set_self_attr", "map_shadow_stack",
    // keys
    "keyctl", "add_key", "request_key",
    // the kernel itself
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module", "get_kernel_syms", "query_module", "reboot", "acct",
    "syslog", "vhangup",
    // the clock and the machine's names
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime", "sethostname", "setdomainname"};

struct Free {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Filter = std::unique_ptr<void, Free>;

void check_rule(int result, const char* what) {
  if (result < 0) throw sys::Fault("seccomp", what, -result);
}

void refuse_calls(scmp_filter_ctx filter) {
  for (const char* name : kRefused) {
    int number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // newer than the libseccomp we were built with
    check_rule(::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), number, 0, nullptr), name);
  }
}

// Refuses the call when every condition holds.
void refuse(scmp_filter_ctx filter, int call, const char* name, std::vector<scmp_arg_cmp> conditions, int error = EPERM) {
  check_rule(::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(static_cast<unsigned>(error)), call, static_cast<unsigned>(conditions.size()), conditions.data()), name);
}
scmp_arg_cmp compare(unsigned argument, scmp_compare how, uint64_t value, uint64_t masked = 0) { return {argument, how, value, masked}; }
scmp_arg_cmp has_bits(unsigned argument, uint64_t mask, uint64_t bits) { return compare(argument, SCMP_CMP_MASKED_EQ, mask, bits); }

void refuse_namespaces(scmp_filter_ctx filter) {
  for (uint64_t flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    refuse(filter, SCMP_SYS(clone), "clone", {has_bits(0, flag, flag)});
  }
  // Its flags are in memory, out of a filter's sight; "no such call" makes C libraries fall back to clone.
  refuse(filter, SCMP_SYS(clone3), "clone3", {}, ENOSYS);
}

// Only Unix, IPv4, IPv6 and routing-netlink sockets (getifaddrs), and none of them raw.
void refuse_sockets(scmp_filter_ctx filter) {
  for (uint64_t family = 0; family < AF_NETLINK; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    refuse(filter, SCMP_SYS(socket), "socket", {compare(0, SCMP_CMP_EQ, family)});
  }
  refuse(filter, SCMP_SYS(socket), "socket", {compare(0, SCMP_CMP_GT, AF_NETLINK)});
  refuse(filter, SCMP_SYS(socket), "socket", {compare(0, SCMP_CMP_EQ, AF_NETLINK), compare(2, SCMP_CMP_NE, NETLINK_ROUTE)});
  constexpr uint64_t kTypeMask = 0xf;  // the rest of the argument is SOCK_CLOEXEC and SOCK_NONBLOCK
  refuse(filter, SCMP_SYS(socket), "socket", {compare(0, SCMP_CMP_NE, AF_NETLINK), has_bits(1, kTypeMask, SOCK_RAW)});
  refuse(filter, SCMP_SYS(socket), "socket", {has_bits(1, kTypeMask, SOCK_PACKET)});
}

void refuse_ioctls(scmp_filter_ctx filter) {
  for (uint64_t request : {TIOCSTI, TIOCLINUX}) refuse(filter, SCMP_SYS(ioctl), "ioctl", {has_bits(1, 0xffffffff, request)});  // typing into a terminal
}

std::string exported(scmp_filter_ctx filter) {
  sys::Fd file(static_cast<int>(sys::check(::memfd_create("seccomp", MFD_CLOEXEC), "memfd_create")));
  check_rule(::seccomp_export_bpf(filter, file.get()), "export");
  std::string program(static_cast<size_t>(sys::check(::lseek(file.get(), 0, SEEK_END), "lseek")), '\0');
  sys::check(::pread(file.get(), program.data(), program.size(), 0), "pread");
  return program;
}

}  // namespace

std::string seccomp_program() {
  Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) throw sys::Fault("seccomp", "init", ENOMEM);
  check_rule(::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)), "other architectures");
  // A tree instead of a list: the kernel runs it for every call there is when it is installed, and for some at each call.
  check_rule(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
  refuse_calls(filter.get());
  refuse_namespaces(filter.get());
  refuse_sockets(filter.get());
  refuse_ioctls(filter.get());
  return exported(filter.get());
}

}  // namespace mayfly::sandbox
