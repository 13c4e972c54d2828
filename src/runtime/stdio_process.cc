#include "runtime/stdio_process.h"

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fault.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::runtime {
namespace {

struct Pipe {
  sys::Fd read, write;
  Pipe() {
    int ends[2];
    sys::check(::pipe2(ends, O_CLOEXEC), "pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

}  // namespace

StdioProcess::StdioProcess(const std::vector<std::string>& command, const std::vector<std::string>& environment, std::string body, bool separate_errors)
    : unwritten(std::move(body)) {
  Pipe in, out, err;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, separate_errors ? err.write.get() : out.write.get(), 2);
  sigset_t defaults;
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  int error = ::posix_spawnp(&pid, command.front().c_str(), &actions, &attributes, pointers(command).data(), pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) throw sys::Fault("exec", command.front(), error);
  try {
    pidfd = sys::open_pidfd(pid);
  } catch (const sys::Fault&) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw;
  }
  input = std::move(in.write);
  output = std::move(out.read);
  if (separate_errors) errors = std::move(err.read);
  for (sys::Fd* each : {&input, &output, &errors})
    if (*each) sys::set_nonblocking(each->get());
  write_input();
}

StdioProcess::~StdioProcess() {
  if (reaped) return;
  kill();
  ::waitpid(pid, nullptr, 0);
}

void StdioProcess::write_input() {
  while (input && !unwritten.empty()) {
    ssize_t put = ::write(input.get(), unwritten.data(), unwritten.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    if (put < 0) break;  // it reads no further, which is its right
    unwritten.erase(0, static_cast<size_t>(put));
  }
  input.reset();
}

bool StdioProcess::drain(sys::Fd& pipe, std::string& into) {
  char buffer[65536];
  while (true) {
    ssize_t got = ::read(pipe.get(), buffer, sizeof buffer);
    if (got > 0) {
      into.append(buffer, static_cast<size_t>(got));
      return true;  // the others' turn
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    pipe.reset();
    return false;
  }
}

void StdioProcess::reap() {
  if (::waitpid(pid, &status, WNOHANG) != pid) return;
  reaped = true;
  pidfd.reset();
}

void StdioProcess::kill() {
  killed = true;
  ::kill(-pid, SIGKILL);
}

std::string end_text(int status) {
  if (!WIFSIGNALED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  const char* name = ::strsignal(WTERMSIG(status));
  std::string text = name ? name : "unknown";
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return "signal: " + text;
}

}  // namespace mayfly::runtime
