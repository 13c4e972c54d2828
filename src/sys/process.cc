#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sys {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

void check_spawn(int error, const std::string& path) {
  if (error != 0) throw Fault("posix_spawn", path, error);
}

}  // namespace

Child spawn(const Spawn& what) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  // dup2 onto itself clears close-on-exec as well (POSIX 2024, glibc 2.29).
  if (what.inherited_fd >= 0) ::posix_spawn_file_actions_adddup2(&actions, what.inherited_fd, kInheritedFd);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  Child child;
  int error = ::posix_spawn(&child.pid, what.path.c_str(), &actions, &attributes, pointers(what.arguments).data(), pointers(what.environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  check_spawn(error, what.path);
  try {
    child.pidfd = open_pidfd(child.pid);
  } catch (const Fault&) {  // nobody would know of it: it ends
    ::kill(child.pid, SIGKILL);
    wait_status(child);
    throw;
  }
  return child;
}

Fd open_pidfd(pid_t pid) { return Fd(static_cast<int>(check(::syscall(SYS_pidfd_open, pid, 0), "pidfd_open", std::to_string(pid)))); }

bool has_ended(const Fd& pidfd) {
  pollfd wait{pidfd.get(), POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

void kill(const Fd& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) < 0 && errno != ESRCH) throw Fault("pidfd_send_signal", "", errno);
}

namespace {

// The number after `label` in a file of "label: number" lines.
int64_t labelled(const std::string& path, const std::string& label) {
  std::istringstream lines(read_file_if_exists(path).value_or(""));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(label)) std::istringstream(line.substr(label.size())) >> number;
  }
  return number;
}

// 0 or less once it has ended.
int64_t pid_of(const Fd& pidfd) { return labelled("/proc/self/fdinfo/" + std::to_string(pidfd.get()), "Pid:"); }

}  // namespace

void set_cores(const Fd& pidfd, const std::vector<int>& cores) {
  int64_t pid = pid_of(pidfd);
  if (pid <= 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores) CPU_SET(core, &set);
  std::error_code ended;
  for (std::filesystem::directory_iterator thread("/proc/" + std::to_string(pid) + "/task", ended), last; !ended && thread != last; thread.increment(ended)) {
    std::string name = thread->path().filename();
    pid_t id = 0;
    std::from_chars(name.data(), name.data() + name.size(), id);
    if (id > 0) (void)::sched_setaffinity(id, sizeof set, &set);
  }
}

std::vector<int> own_cores() {
  cpu_set_t set;
  check(::sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
  std::vector<int> out;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) out.push_back(core);
  return out;
}

uint64_t peak_memory_bytes(const Fd& pidfd) {
  int64_t pid = pid_of(pidfd);
  if (pid <= 0) return 0;
  return static_cast<uint64_t>(labelled("/proc/" + std::to_string(pid) + "/status", "VmHWM:")) << 10;
}

void limit_memory(const Fd& pidfd, uint64_t bytes) {
  auto pid = static_cast<pid_t>(labelled("/proc/self/fdinfo/" + std::to_string(pidfd.get()), "Pid:"));
  rlimit limit{bytes, bytes};
  if (pid > 0 && ::prlimit(pid, RLIMIT_DATA, &limit, nullptr) < 0 && errno != ESRCH) throw Fault("prlimit", std::to_string(pid), errno);
}

void raise_open_files() {
  rlimit limit{};
  check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit", "nofile");
  limit.rlim_cur = limit.rlim_max;
  check(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit", "nofile");
}

int wait_status(const Child& child) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) throw Fault("waitpid", std::to_string(child.pid), errno);
  }
  return status;
}

std::string how_it_ended(int wait_status) {
  if (!WIFSIGNALED(wait_status)) return "with status " + std::to_string(WEXITSTATUS(wait_status));
  std::string number = "by signal " + std::to_string(WTERMSIG(wait_status));
  const char* name = ::sigabbrev_np(WTERMSIG(wait_status));
  return name ? number + " (SIG" + name + ")" : number;
}

void wait_end(const Fd& pidfd) {
  pollfd end{pidfd.get(), POLLIN, 0};
  while (::poll(&end, 1, -1) < 0) {
    if (errno != EINTR) throw Fault("poll", "pidfd", errno);
  }
  siginfo_t info;
  (void)::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);  // ECHILD: another reaps it
}

}  // namespace mayfly::sys
