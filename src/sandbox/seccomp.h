#pragma once
// The system-call filter of a worker. Everything that touches what a function has no business with is refused with EPERM: mounts,
// namespaces, other processes' memory, kernel modules and programs, the clock, raw sockets, keys. It is made once by the server, as the
// BPF program the kernel takes, and installed by each worker after its privileges are gone and before the first byte of tenant code.

#include <string>

namespace mayfly::sandbox {

// An array of struct sock_filter for prctl(PR_SET_SECCOMP), in this machine's byte order.
std::string seccomp_program();

}  // namespace mayfly::sandbox
