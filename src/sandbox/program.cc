#include "sandbox/program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

void move_to(sys::Fd from, int to) {
  if (from.get() == to) sys::check(::fcntl(from.release(), F_SETFD, 0), "fcntl");
  else sys::check(::dup2(from.get(), to), "dup2");
}

// 0 is /dev/null and 1 and 2 are the server's since the nursery was started.
void arrange_descriptors(const Plan& plan, Launch& what) {
  // Out of the way of the places that others will take.
  auto above = [](sys::Fd& fd) {
    if (fd) fd.reset(static_cast<int>(sys::check(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kProgramFd + 1), "fcntl")));
  };
  above(what.report);
  above(what.program);
  above(what.output);
  if (what.output) {
    sys::check(::dup2(what.output.get(), 1), "dup2");
    move_to(std::move(what.output), 2);
  }
  ::close(kProgramFd);
  if (what.program) move_to(std::move(what.program), kProgramFd);
}

void confine(const Plan& plan, const char*& step, const std::string& seccomp) {
  step = "capabilities";
  if (plan.confined) drop_all_capabilities();
  else drop_bounding_set();
  no_new_privileges();
  step = "system calls";
  if (plan.confined) install_filter(seccomp);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const auto& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

void take_steps(const Plan& plan, Launch& what, const char*& step, const std::string& seccomp) {
  step = "parent's death";
  die_with_parent();
  step = "cgroup";
  for (const auto& entry : std::exchange(what.entries, {})) sys::write_all(entry.get(), "0", "cgroup");
  step = "descriptors";
  arrange_descriptors(plan, what);
  step = "working directory";
  sys::check(::chdir(plan.folder.c_str()), "chdir", plan.folder);
  step = "limits";
  limit_resources(plan);
  if (plan.isolation == Isolation::full) confine(plan, step, seccomp);
  else no_new_privileges();
  step = "program";
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.command.front().c_str(), pointers(plan.command).data(), pointers(plan.environment).data());
  throw sys::Fault("execve", plan.command.front(), errno);
}

}  // namespace

void become_program(const Plan& plan, Launch what, const std::string& seccomp) {
  const char* step = "descriptors";
  try {
    take_steps(plan, what, step, seccomp);
  } catch (const sys::Fault& fault) {
    std::string words = std::string(step) + ": " + fault.what();
    if (::write(what.report.get(), words.data(), std::min(words.size(), kMaxWordsBytes)) < 0) ::_exit(kProgramFailed);
  }
  ::_exit(kProgramFailed);
}

}  // namespace mayfly::sandbox
