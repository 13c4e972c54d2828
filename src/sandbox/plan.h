#pragma once
// Plan: all that `mayfly __sandbox-init` needs to know, sent to it as one JSON message over its control socket (descriptor 3), because
// arguments and environment of a process are visible to others. The server makes it; init.cc carries it out step by step.
//
// What goes over the control socket, in order:
//   server -> init   the plan, with the entries of a cgroup attached (sys::Cgroup::entries), which init enters first
//   init -> server   {"doors": n} with n listening sockets attached, in the order of Plan::doors
//   (the program)    from its exec on, the same socket is the program's, as descriptor 3
// or, when a step fails, {"failed": "step: call subject: error"} and exit status kInitFailed.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mayfly::sandbox {

enum class Isolation { full, none };  // none: no namespaces at all, the explicit opt-out (RuntimeOptions::unsafe_no_sandbox)

struct Bind {
  std::string source, target;  // absolute; `source` on the host; mounted read-only, nosuid, nodev
  bool optional = false;       // skipped when absent
  bool operator==(const Bind&) const = default;
};

struct Plan {
  Isolation isolation = Isolation::full;
  std::string hostname;
  uint32_t host_uid = 0;                      // who the sandbox's root is outside when the server is root: unprivileged, one per sandbox
  std::vector<Bind> binds;
  std::map<std::string, std::string> files;   // written into the new root: /etc/hosts, ...
  std::vector<uint16_t> doors;                // TCP ports to listen on at 127.0.0.1 inside
  bool dns_door = false;                      // one more socket, last: UDP 127.0.0.1:53
  // A zygote keeps its privileges over the sandbox's own namespaces, to shut its forks in. Everything else is confined before its exec:
  // no capability, the system-call filter, a private /tmp and /dev/shm, descriptors 0 (/dev/null), 1 and 2 (Sandbox::output), and 3 if
  // `frames` (a stream whose other end is Sandbox::frames).
  bool confined = false;
  bool frames = false;
  uint64_t tmp_bytes = 512ull << 20;          // /tmp of a confined program (aliyun-fc.md 5.1)
  std::vector<std::string> command;           // program by absolute path and its arguments
  std::vector<std::string> environment;
  std::string folder;                         // working directory inside
  uint64_t open_files = 1024;                 // RLIMIT_NOFILE
  uint64_t processes = 0;                     // RLIMIT_NPROC; 0: left to the cgroup
  bool operator==(const Plan&) const = default;
};

std::string to_json(const Plan& plan);
Plan plan_from_json(std::string_view text);  // the peer is ourselves: a malformed plan is a bug

constexpr size_t kMaxPlanBytes = 128 << 10;  // the environment is at most 4 KB, the rest are our own lists; SO_SNDBUF is 208 KB
constexpr int kControlFd = 3;
constexpr int kInitFailed = 97;

}  // namespace mayfly::sandbox
