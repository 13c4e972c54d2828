#include "sandbox/nursery_process.h"

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <map>

#include "base/check.h"
#include "base/encoding.h"
#include "sandbox/etc.h"
#include "sandbox/keeper.h"
#include "sandbox/net_pool.h"
#include "sandbox/protocol.h"
#include "sandbox/steps.h"
#include "sandbox/template.h"
#include "sys/fault.h"
#include "sys/process.h"

namespace mayfly::sandbox {
namespace {

constexpr uint32_t kUnprivilegedUids = 1'000'000'000;  // from here on, and as many: far above what distributions give to users and containers

uint32_t random_uid() {
  uint32_t chance;
  sys::check(::getrandom(&chance, sizeof chance, 0), "getrandom");
  return kUnprivilegedUids + chance % kUnprivilegedUids;
}

// Nothing asked for that long: time to make a keeper ahead. Sooner it would compete with the start of what was just launched.
constexpr int kIdleMs = 5;
// And for so long: no burst is under way, and what one needed may go.
constexpr int kQuietMs = 10'000;

// A keeper that builds what needs no plan and then waits for its launch.
struct Ready {
  pid_t pid;
  sys::Fd link, program_link;
  Doors doors;
  std::vector<sys::Fd> sockets;  // of the doors
};

class Nursery {
 public:
  Nursery() : system_(system_binds()) {}

  void serve();

 private:
  bool take_order();
  Ready make_keeper(bool isolated, const Doors& doors);
  void use(const std::vector<Bind>& binds);
  Ready ready_keeper(bool isolated, const Doors& doors);
  Ready claim_keeper(const Plan& plan, const sys::Fd& lifeline);
  void launch(const json::value& order, std::vector<sys::Fd> fds);
  void mount(const json::value& order, std::vector<sys::Fd> fds);
  void make_ahead();
  void reap();

  std::vector<Bind> system_;
  bool by_root_ = started_by_root();
  bool own_namespaces_ = false;
  std::string seccomp_;
  NetPool nets_;
  std::map<pid_t, sys::Fd> keepers_;  // the network of each
  std::optional<Template> template_;
  std::vector<Bind> binds_;           // of the template: those of the last launch, and so of the next, for all of a server's sandboxes have the same
  Doors doors_;                       // of the last launch, and so most likely of the next
  std::deque<Ready> ready_;
  size_t wanted_ready_ = 0;
};

Ready Nursery::make_keeper(bool isolated, const Doors& doors) {
  auto [link, keeper_link] = sys::socket_pair(SOCK_SEQPACKET);
  auto [program_link, far_program_link] = sys::socket_pair(SOCK_SEQPACKET);
  auto taken = isolated ? nets_.take(doors) : NetPool::Taken{};
  std::optional<Template::Visit> visit;
  if (isolated) visit.emplace(*template_);
  pid_t pid = fork_into(isolated ? CLONE_NEWUSER | CLONE_NEWPID : 0);
  if (pid == 0) keep(std::move(keeper_link), std::move(far_program_link), seccomp_);
  visit.reset();
  keepers_[pid] = std::move(taken.net);
  // An ordinary user's keepers are the user outside, whom our own namespace knows as 0.
  if (isolated) map_root(pid, by_root_ ? random_uid() : 0);
  sys::send_message(link.get(), isolated ? "B" : "N");
  return {pid, std::move(link), std::move(program_link), doors, std::move(taken.sockets)};
}

void Nursery::use(const std::vector<Bind>& binds) {
  if (template_ && binds_ == binds) return;
  ready_.clear();  // they end when their links are closed
  template_.reset();
  template_.emplace(binds);
  binds_ = binds;
}

Ready Nursery::ready_keeper(bool isolated, const Doors& doors) {
  if (!isolated || ready_.empty()) return make_keeper(isolated, doors);
  Ready out = std::move(ready_.front());
  ready_.pop_front();
  return out;
}

// One that has been given its lifeline and its doors. Those that waited may have been killed meanwhile.
Ready Nursery::claim_keeper(const Plan& plan, const sys::Fd& lifeline) {
  bool isolated = plan.isolation == Isolation::full;
  Doors wanted = isolated ? Doors{plan.doors, plan.dns_door} : Doors{};
  for (size_t tries = ready_.size() + 1; tries > 0; --tries) {
    auto keeper = ready_keeper(isolated, wanted);
    auto net = keepers_.find(keeper.pid);
    if (net == keepers_.end()) continue;  // it has ended and its network is somebody else's
    auto sockets = exchange_doors(net->second, keeper.doors, std::move(keeper.sockets), wanted);
    std::vector<int> handed{lifeline.get()};
    for (const auto& socket : sockets) handed.push_back(socket.get());
    if (!sys::send_message(keeper.link.get(), "L", handed)) continue;
    if (isolated) doors_ = wanted;
    return keeper;
  }
  throw sys::Fault("clone", "a keeper that lives", ECHILD);
}

void Nursery::make_ahead() {
  try {
    ready_.push_back(make_keeper(true, doors_));
  } catch (const sys::Fault&) {
    template_.reset();  // nothing is made ahead until a launch has made it again, or said why it could not
  }
}

void Nursery::launch(const json::value& order, std::vector<sys::Fd> fds) {
  Plan plan = plan_from_value(order);
  Launch what = take_launch(plan, With::lifeline, fds);
  try {
    std::vector<Tree> trees;
    if (plan.isolation == Isolation::full) {
      if (!by_root_ && !std::exchange(own_namespaces_, true)) become_root_of_own_namespaces();
      use(select_binds(plan, system_, Binds::of_system));
      trees = take_trees(select_binds(plan, system_, Binds::own));
      template_->prepare(trees, plan.files);
    }
    json::array targets;
    auto handed = fds_of(what, With::no_lifeline);
    for (const auto& tree : trees) {
      targets.emplace_back(tree.target);
      handed.push_back(tree.mount.get());
    }
    std::string text = to_text(json::object{{"launch", order}, {"targets", std::move(targets)}});
    auto keeper = claim_keeper(plan, what.lifeline);
    sys::send_message(keeper.program_link.get(), text, handed);  // closed when the keeper could not build: it says so on the lifeline
  } catch (const std::runtime_error& fault) {  // a sys::Fault, or the words of one
    sys::send_message(what.lifeline.get(), to_text(json::object{{"failed", fault.what()}}));
  }
}

// The keeper answers on the reply socket, unless the trees cannot be had.
void Nursery::mount(const json::value& order, std::vector<sys::Fd> fds) {
  MAYFLY_CHECK_OP(fds.size(), ==, size_t{2});
  const sys::Fd &lifeline = fds[0], &reply = fds[1];
  try {
    std::string targets = "M";
    std::vector<int> handed{reply.get()};
    auto trees = take_trees(binds_from_value(order));
    if (template_) template_->prepare(trees, {});
    for (const auto& tree : trees) {
      targets += tree.target + '\0';
      handed.push_back(tree.mount.get());
    }
    sys::send_message(lifeline.get(), targets, handed);
  } catch (const sys::Fault& fault) {
    sys::send_message(reply.get(), fault.what());
  }
}

void Nursery::reap() {
  for (pid_t ended; (ended = ::waitpid(-1, nullptr, WNOHANG)) > 0;) {
    auto keeper = keepers_.extract(ended);
    if (keeper && keeper.mapped()) nets_.give_back(std::move(keeper.mapped()));
  }
}

// False when the server has gone.
bool Nursery::take_order() {
  sys::Message message;
  if (sys::receive_message(kServerFd, kMaxPlanBytes, message) != sys::Received::message) return false;
  auto order = parse_json(message.bytes);
  MAYFLY_CHECK(order.has_value());
  if (const auto* program = find(*order, "seccomp")) seccomp_ = base64_decode(view(program->as_string())).value();
  if (const auto* ready = find(*order, "ready")) wanted_ready_ = ready->to_number<size_t>();
  if (const auto* plan = find(*order, "launch")) launch(*plan, std::move(message.fds));
  if (const auto* binds = find(*order, "mount")) mount(*binds, std::move(message.fds));
  return true;
}

void Nursery::serve() {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGCHLD);
  sys::check(::sigprocmask(SIG_BLOCK, &ends, nullptr), "sigprocmask");
  sys::Fd ended(static_cast<int>(sys::check(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")));
  while (true) {
    bool behind = template_ && ready_.size() < wanted_ready_;
    pollfd waited[] = {{kServerFd, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    int happened = ::poll(waited, 2, behind ? kIdleMs : nets_.may_shrink() ? kQuietMs : -1);
    if (happened < 0) continue;
    if (waited[0].revents != 0 && !take_order()) return;
    if (waited[1].revents != 0) {
      signalfd_siginfo info;
      while (::read(ended.get(), &info, sizeof info) > 0) {}
      reap();
    }
    if (happened == 0 && behind) make_ahead();
    if (happened == 0 && !behind) nets_.shrink();
  }
}

}  // namespace

int serve_nursery() {
  ::prctl(PR_SET_NAME, "mayfly-nursery");
  die_with_parent();
  ::close_range(kServerFd + 1, ~0u, 0);  // whatever a library of the server forgot to close on exec
  try {
    sys::raise_open_files();  // a network for every sandbox
    if (started_by_root()) sys::check(::setgroups(0, nullptr), "setgroups");
    Nursery nursery;
    nursery.serve();
  } catch (const sys::Fault& fault) {
    fmt::print(stderr, "mayfly: the sandbox nursery: {}\n", fault.what());
    return 1;
  }
  return 0;
}

}  // namespace mayfly::sandbox
