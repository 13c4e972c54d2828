#pragma once
// Plan: all that makes one sandbox, from its file system to the program that runs in it. The server makes it; it travels as JSON over
// private sockets (protocol.h), because arguments and environment of a process are visible to others.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mayfly::sandbox {

enum class Isolation { full, none };  // none: no namespaces at all, the explicit opt-out (RuntimeOptions::unsafe_no_sandbox)

struct Bind {
  std::string source, target;  // absolute; `source` on the host; mounted read-only, nosuid, nodev
  bool optional = false;       // skipped when absent
  bool operator==(const Bind&) const = default;
};

constexpr uint64_t kUsualTmpBytes = 512ull << 20;  // aliyun-fc.md 5.1

struct Plan {
  Isolation isolation = Isolation::full;
  std::string hostname;
  std::vector<Bind> binds;
  std::map<std::string, std::string> files;   // written into the new root: /etc/hosts, ...
  std::vector<uint16_t> doors;                // TCP ports to listen on at 127.0.0.1 inside
  bool dns_door = false;                      // one more socket, last: UDP 127.0.0.1:53
  // A zygote keeps its privileges over the sandbox's own namespaces, to shut its forks in. Everything else is confined before its exec:
  // no capability, the system-call filter, a private /tmp and /dev/shm, descriptors 0 (/dev/null), 1 and 2 (Sandbox::output), and 3 if
  // `frames` (a stream whose other end is Sandbox::frames).
  bool confined = false;
  bool frames = false;
  bool held = false;                          // made up to the program's exec, which waits for Sandbox::release()
  uint64_t tmp_bytes = kUsualTmpBytes;        // /tmp of a confined program
  std::vector<std::string> command;           // program by absolute path and its arguments
  std::vector<std::string> environment;
  std::string folder;                         // working directory inside
  uint64_t open_files = 1024;                 // RLIMIT_NOFILE
  uint64_t processes = 0;                     // RLIMIT_NPROC; 0: left to the cgroup
  uint64_t memory_bytes = 0;                  // RLIMIT_DATA, of each process; 0: left to the cgroup
  // Where the program may run; empty: on the core of the shard that launches it, for those that choose for themselves later.
  std::vector<int> cores;
  bool operator==(const Plan&) const = default;
};

json::value to_value(const Plan& plan);
Plan plan_from_value(const json::value& from);  // the peer is ourselves: a malformed plan is a bug

json::value binds_to_value(const std::vector<Bind>& binds);
std::vector<Bind> binds_from_value(const json::value& from);

// Of an order, as JSON, in which an environment may take six times its 64 KB. One packet: SO_SNDBUF is 208 KB.
constexpr size_t kMaxPlanBytes = 128 << 10;
std::string too_large(size_t bytes);  // the sentence for one that is
constexpr int kProgramFd = 3;      // what the program finds the far end of Sandbox::frames or Sandbox::control() as
constexpr int kProgramFailed = 97;  // exit status of a program that was not reached

}  // namespace mayfly::sandbox
