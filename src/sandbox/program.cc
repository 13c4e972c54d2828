#include "sandbox/program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "sandbox/protocol.h"
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

void specialise(const Plan& plan, const std::vector<Tree>& trees, const char*& step) {
  step = "host name";
  name_host(plan.hostname);
  step = "files of the root file system";
  attach_trees(trees);
  write_files(plan.files);
  step = "private folders";
  if (plan.confined) make_private(plan.tmp_bytes);
}

// The server's end closing means that it is not needed.
void wait_for_release(const sys::Fd& report) {
  sys::Message message;
  bool released = sys::send_message(report.get(), kHolds) && sys::receive_message(report.get(), kMaxWordsBytes, message) == sys::Received::message;
  if (!released) ::_exit(0);
}

void take_steps(const Plan& plan, Launch& what, const std::vector<Tree>& trees, const char*& step, const std::string& seccomp) {
  bool isolated = plan.isolation == Isolation::full;
  step = "parent's death";
  die_with_parent();
  if (isolated) specialise(plan, trees, step);
  step = "cgroup";
  for (const auto& entry : std::exchange(what.entries, {})) sys::write_all(entry.get(), "0", "cgroup");
  step = "descriptors";
  arrange_descriptors(plan, what);
  step = "working directory";
  sys::check(::chdir(plan.folder.c_str()), "chdir", plan.folder);
  step = "limits";
  limit_resources(plan);
  run_in_batches();
  run_on(plan.cores);
  if (isolated) confine(plan, step, seccomp);
  else no_new_privileges();
  if (plan.held) wait_for_release(what.report);
  step = "program";
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.command.front().c_str(), pointers(plan.command).data(), pointers(plan.environment).data());
  throw sys::Fault("execve", plan.command.front(), errno);
}

}  // namespace

void become_program(sys::Fd link, const std::string& seccomp) {
  sys::Message message;
  if (sys::receive_message(link.get(), kMaxPlanBytes + kMaxWordsBytes, message) != sys::Received::message) ::_exit(0);  // not needed
  link.reset();
  auto order = parse_json(message.bytes);
  MAYFLY_CHECK(order.has_value());
  Plan plan = plan_from_value(order->at("launch"));
  const auto& targets = order->at("targets").as_array();
  Launch what = take_launch(plan, With::no_lifeline, message.fds, targets.size());
  std::vector<Tree> trees;
  for (size_t i = 0; i < targets.size(); ++i) trees.push_back({std::move(message.fds[i]), std::string(view(targets[i].as_string()))});
  const char* step = "";
  try {
    take_steps(plan, what, trees, step, seccomp);
  } catch (const sys::Fault& fault) {
    std::string words = std::string(step) + ": " + fault.what();
    if (::write(what.report.get(), words.data(), std::min(words.size(), kMaxWordsBytes)) < 0) ::_exit(kProgramFailed);
  }
  ::_exit(kProgramFailed);
}

}  // namespace mayfly::sandbox
