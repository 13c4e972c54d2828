#pragma once
// Who makes a sandbox, and what they say to each other.
//
//   server ──▶ nursery ──▶ keeper ──▶ program
//
// The nursery (`mayfly __sandbox-init`, one per shard, one thread, small) forks a keeper for every sandbox. The keeper is the first
// process inside: root over the sandbox's namespaces and nothing else. It makes what no plan is needed for and forks the process that
// becomes the program; both then wait for a launch. Later it reaps orphans, serves the server's requests, and ends with the program; the
// kernel then ends everything else inside. It also ends when its lifeline closes, that is, when the server has ended, however that came.
// The tenant cannot reach it: the kernel lets no signal from inside end the first process of a pid namespace, and its memory and
// descriptors are closed to a process with fewer capabilities.
//
// Sequenced packets, JSON unless said otherwise, with the descriptors named:
//   server -> nursery   {"seccomp": base64, "ready": n}    once, first
//   server -> nursery   {"launch": Plan}                   the descriptors of Launch, in the order of its members
//   server -> nursery   {"mount": binds}                   the server's end of the lifeline, the reply socket
//   nursery -> keeper   "B" or "N"                         build (N: there is no isolation)
//   nursery -> keeper   "L"                                the lifeline, the doors
//   nursery -> program  {"launch": Plan, "targets": [..]}  Launch but its lifeline, then the trees of the plan's binds
//   keeper -> server    {"doors": n}                       on the lifeline: the keeper's pidfd, the program's, the doors in Plan's order
//                       or {"failed": "step: call subject: error"}
//   keeper -> server    "x" + wait status (int)            on the lifeline: the program has ended, and the keeper is about to
//   server -> keeper    "T"                                on the lifeline: reply socket; answered by "k" with a TCP socket
//   server -> keeper    "S" or "C"                         on the lifeline: all inside stops, or goes on; not answered
//   nursery -> keeper   "M" + targets                      on the lifeline: reply socket, trees; answered by "k" or the failure's words
// The report is a pipe: closed unwritten by the exec of the program, or holding the words of what stopped it before. When the plan is held it
// is a socket pair: "h" from the program when all but its exec is done, "g" from the server when that may follow.

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/plan.h"
#include "sys/fd.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {

constexpr int kServerFd = 3;       // the nursery's socket to the server
constexpr int kKeeperLinkFd = 3;   // the keeper's socket to the nursery, until it has its lifeline
constexpr int kProgramLinkFd = 4;  // that of what becomes the program

// What a launch hands down.
struct Launch {
  sys::Fd lifeline;               // the keeper's; the others are the program's
  sys::Fd report;
  sys::Fd program;                // becomes kProgramFd: when the plan has frames, and for every program that is not confined
  sys::Fd output;                 // becomes 1 and 2: when the plan is confined
  std::vector<sys::Fd> entries;   // sys::Cgroup::entries
};
inline bool has_program_fd(const Plan& plan) { return plan.frames || !plan.confined; }

enum class With { lifeline, no_lifeline };
std::vector<int> fds_of(const Launch& launch, With with);
// Takes them from the front of `fds` and leaves the last `rest` there.
Launch take_launch(const Plan& plan, With with, std::vector<sys::Fd>& fds, size_t rest = 0);

// A plan's binds are those that every sandbox has (`system`, etc.h), which lie in the template, and its own.
enum class Binds { of_system, own };
std::vector<Bind> select_binds(const Plan& plan, const std::vector<Bind>& system, Binds which);

constexpr std::string_view kHolds = "h", kGo = "g", kFreeze = "S", kThaw = "C";
constexpr size_t kMaxWordsBytes = 4096;  // of a failure: a path of 4 KB at most does not fit, anything real does

}  // namespace mayfly::sandbox
