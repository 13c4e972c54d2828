#pragma once
// Processes by the call. A child is started with vfork semantics and exec at once: the server is multithreaded and large, so it never
// runs code of its own between fork and exec. Processes are then named by pidfd, which cannot be mistaken for a later process that was
// given the same number.

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sys/fd.h"

namespace mayfly::sys {

struct Spawn {
  std::string path;                      // absolute
  std::vector<std::string> arguments;    // with argv[0]
  std::vector<std::string> environment;  // "NAME=value"; nothing is inherited
  int inherited_fd = -1;                 // given to the child as descriptor 3; its 0 is /dev/null, 1 and 2 are ours
};
struct Child {
  pid_t pid = -1;
  Fd pidfd;  // readable once the process has ended
};
Child spawn(const Spawn& what);

constexpr int kInheritedFd = 3;

Fd open_pidfd(pid_t pid);
bool has_ended(const Fd& pidfd);
void kill(const Fd& pidfd, int signal);  // a process that has already ended is fine
// Which cores all threads of a process may run on. One that has ended, or may not be told by us, stays as it is.
void set_cores(const Fd& pidfd, const std::vector<int>& cores);
std::vector<int> own_cores();  // of the calling thread
uint64_t peak_memory_bytes(const Fd& pidfd);  // most it ever had resident; 0 once it has ended
void limit_memory(const Fd& pidfd, uint64_t bytes);  // RLIMIT_DATA; one that has ended is fine
void raise_open_files();  // RLIMIT_NOFILE of this process, as far as it may go by itself
int wait_status(const Child& child);     // reaps our own child, blocking; wait status
std::string how_it_ended(int wait_status);  // "with status 3", "by signal 11 (SIGSEGV)"
// Blocks until the process has ended. Reaps it if it was ours to reap, which an orphan becomes when we are the first process of a container.
void wait_end(const Fd& pidfd);

}  // namespace mayfly::sys
