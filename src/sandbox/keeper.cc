#include "sandbox/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/json.h"
#include "sandbox/program.h"
#include "sandbox/protocol.h"
#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace mayfly::sandbox {
namespace {

class Keeper {
 public:
  void prepare(const std::string& seccomp);  // all that needs no plan
  void launch();
  void serve();

 private:
  sys::Message next_order();
  void build();
  bool take_request();
  void answer(const std::string& request, std::vector<sys::Fd> fds);
  void reap();

  sys::Fd link_{kKeeperLinkFd}, program_link_{kProgramLinkFd}, lifeline_;
  const char* step_ = "user namespace";  // being taken, for the sentence the server shows when the kernel refuses it
  std::string failed_;                   // words of the failure of prepare(), which nobody can be told before there is a lifeline
  pid_t program_ = -1;
};

sys::Message Keeper::next_order() {
  sys::Message message;
  if (sys::receive_message(link_.get(), kMaxWordsBytes, message) != sys::Received::message) ::_exit(0);  // not needed
  return message;
}

void Keeper::prepare(const std::string& seccomp) {
  auto order = next_order();
  try {
    if (order.bytes == "B") build();
    step_ = "program";
    program_ = fork_into(0);
  } catch (const sys::Fault& fault) {
    failed_ = std::string(step_) + ": " + fault.what();
  }
  if (program_ == 0) {
    link_.reset();
    become_program(std::move(program_link_), seccomp);
  }
  program_link_.reset();
}

void Keeper::build() {
  become_mapped_root();
  step_ = "mount, uts and ipc namespaces";
  sys::check(::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC), "unshare", "namespaces");
  step_ = "root file system";
  mount_own();
  step_ = "capabilities";
  drop_bounding_set();
}

void Keeper::launch() {
  auto order = next_order();
  lifeline_ = std::move(order.fds.at(0));
  link_.reset();
  if (!failed_.empty()) {
    sys::send_message(lifeline_.get(), to_text(json::object{{"failed", failed_}}));
    ::_exit(kProgramFailed);
  }
  std::vector<sys::Fd> pidfds;
  pidfds.push_back(sys::open_pidfd(::getpid()));
  pidfds.push_back(sys::open_pidfd(program_));
  std::vector<int> handed{pidfds[0].get(), pidfds[1].get()};
  for (size_t i = 1; i < order.fds.size(); ++i) handed.push_back(order.fds[i].get());
  sys::send_message(lifeline_.get(), to_text(json::object{{"doors", order.fds.size() - 1}}), handed);
}

// Tells the server of the program's end and ends, and with it all that is inside.
void Keeper::reap() {
  int status = 0;
  for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (ended != program_) continue;
    std::string words = "x";
    words.append(reinterpret_cast<const char*>(&status), sizeof status);
    sys::send_message(lifeline_.get(), words);
    ::_exit(0);
  }
}

void Keeper::answer(const std::string& request, std::vector<sys::Fd> fds) {
  MAYFLY_CHECK(!fds.empty());
  sys::Fd reply = std::move(fds.front());
  try {
    std::vector<sys::Fd> given;
    if (request[0] == 'T') given.push_back(tcp_socket_inside());
    if (request[0] == 'M') {
      std::vector<Tree> trees;
      std::string_view targets(request);
      targets.remove_prefix(1);
      for (size_t i = 1; i < fds.size(); ++i) {
        size_t end = targets.find('\0');
        trees.push_back({std::move(fds[i]), std::string(targets.substr(0, end))});
        targets.remove_prefix(end + 1);
      }
      attach_trees(trees);
    }
    std::vector<int> handed;
    for (const auto& fd : given) handed.push_back(fd.get());
    sys::send_message(reply.get(), "k", handed);
  } catch (const sys::Fault& fault) {
    sys::send_message(reply.get(), fault.what());
  }
}

// To every process of the namespace but this one, which is its first. Where this is not one's first, "all" would be all of the machine.
void signal_all(int signal) {
  if (::getpid() == 1) ::kill(-1, signal);
}

// False when the server has gone.
bool Keeper::take_request() {
  sys::Message message;
  if (sys::receive_message(lifeline_.get(), kMaxPlanBytes, message) != sys::Received::message) return false;
  if (message.bytes == kFreeze || message.bytes == kThaw) signal_all(message.bytes == kFreeze ? SIGSTOP : SIGCONT);
  else answer(message.bytes, std::move(message.fds));
  return true;
}

void Keeper::serve() {
  sigset_t ends;  // blocked since the nursery started
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGCHLD);
  sys::Fd ended(static_cast<int>(sys::check(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")));
  while (true) {
    reap();
    pollfd waited[] = {{lifeline_.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}};
    if (::poll(waited, 2, -1) < 0) continue;
    signalfd_siginfo info;
    while (::read(ended.get(), &info, sizeof info) > 0) {}
    if (waited[0].revents != 0 && !take_request()) ::_exit(0);
  }
}

}  // namespace

void keep(sys::Fd link, sys::Fd program_link, const std::string& seccomp) {
  try {
    ::prctl(PR_SET_NAME, "mayfly-keeper");
    // The nursery's own, and the links of other keepers, are closed.
    sys::Fd moved(static_cast<int>(sys::check(::fcntl(program_link.get(), F_DUPFD_CLOEXEC, kProgramLinkFd + 1), "fcntl")));
    sys::check(::dup3(link.release(), kKeeperLinkFd, O_CLOEXEC), "dup3");
    sys::check(::dup3(moved.release(), kProgramLinkFd, O_CLOEXEC), "dup3");
    ::close_range(kProgramLinkFd + 1, ~0u, 0);
    program_link.release();
    Keeper keeper;
    keeper.prepare(seccomp);
    keeper.launch();
    keeper.serve();
  } catch (const sys::Fault& fault) {
    fmt::print(stderr, "mayfly: a sandbox's keeper: {}\n", fault.what());
  }
  ::_exit(kProgramFailed);
}

}  // namespace mayfly::sandbox
