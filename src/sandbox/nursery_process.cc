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

// A keeper that has been told its base and waits for its plan.
struct Ready {
  sys::Fd link, program_link;
};

class Nursery {
 public:
  Nursery() : system_(system_binds()) {}

  void serve();

 private:
  bool take_order();
  Ready make_keeper(const std::optional<Base>& base);
  void use(const Base& base);
  Ready ready_keeper();
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
  std::optional<Base> base_;          // of the template and of the last launch, and so of the next: all of a server's sandboxes have the same
  std::deque<Ready> ready_;           // with base_
  size_t wanted_ready_ = 0;
};

Ready Nursery::make_keeper(const std::optional<Base>& base) {
  auto [link, keeper_link] = sys::socket_pair(SOCK_SEQPACKET);
  auto [program_link, far_program_link] = sys::socket_pair(SOCK_SEQPACKET);
  auto taken = base ? nets_.take(base->doors, base->dns_door) : NetPool::Taken{};
  std::optional<Template::Visit> visit;
  if (base) visit.emplace(*template_);
  pid_t pid = fork_into(base ? CLONE_NEWUSER | CLONE_NEWPID : 0);
  if (pid == 0) keep(std::move(keeper_link), std::move(far_program_link), seccomp_);
  visit.reset();
  std::vector<int> handed;
  for (const auto& door : taken.doors) handed.push_back(door.get());
  keepers_[pid] = std::move(taken.net);
  // An ordinary user's keepers are the user outside, whom our own namespace knows as 0.
  if (base) map_root(pid, by_root_ ? random_uid() : 0);
  sys::send_message(link.get(), base ? "B" : "N", handed);
  return {std::move(link), std::move(program_link)};
}

void Nursery::use(const Base& base) {
  if (base_ == base) return;
  ready_.clear();  // they end when their links are closed
  base_.reset();
  template_.emplace(base.binds);
  base_ = base;
}

Ready Nursery::ready_keeper() {
  if (ready_.empty()) return make_keeper(base_);
  Ready out = std::move(ready_.front());
  ready_.pop_front();
  return out;
}

void Nursery::make_ahead() {
  try {
    ready_.push_back(make_keeper(base_));
  } catch (const std::runtime_error&) {
    base_.reset();  // the next launch fails in the same way and can say so, or not, and then this is tried again
  }
}

void Nursery::launch(const json::value& order, std::vector<sys::Fd> fds) {
  Plan plan = plan_from_value(order);
  Launch what = take_launch(plan, With::lifeline, fds);
  try {
    bool isolated = plan.isolation == Isolation::full;
    if (isolated && !by_root_ && !std::exchange(own_namespaces_, true)) become_root_of_own_namespaces();
    std::vector<Tree> trees;
    if (isolated) {
      use(base_of(plan, system_));
      trees = take_trees(own_binds(plan, system_));
      template_->prepare(trees, plan.files);
    }
    json::array targets;
    auto handed = fds_of(what, With::no_lifeline);
    for (const auto& tree : trees) {
      targets.emplace_back(tree.target);
      handed.push_back(tree.mount.get());
    }
    std::string text = to_text(json::object{{"launch", order}, {"targets", std::move(targets)}});
    int lifeline = what.lifeline.get();
    auto keeper = isolated ? ready_keeper() : make_keeper(std::nullopt);
    // One that waited may have been killed meanwhile.
    while (!sys::send_message(keeper.link.get(), "L", {&lifeline, 1})) keeper = isolated ? ready_keeper() : make_keeper(std::nullopt);
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
    bool behind = base_ && ready_.size() < wanted_ready_;
    pollfd waited[] = {{kServerFd, POLLIN, 0}, {ended.get(), POLLIN, 0}};
    int happened = ::poll(waited, 2, behind ? kIdleMs : -1);
    if (happened < 0) continue;
    if (waited[0].revents != 0 && !take_order()) return;
    if (waited[1].revents != 0) {
      signalfd_siginfo info;
      while (::read(ended.get(), &info, sizeof info) > 0) {}
      reap();
    }
    if (happened == 0 && behind) make_ahead();
  }
}

}  // namespace

int serve_nursery() {
  ::prctl(PR_SET_NAME, "mayfly-nursery");
  die_with_parent();
  ::close_range(kServerFd + 1, ~0u, 0);  // whatever a library of the server forgot to close on exec
  try {
    raise_open_files();  // a network for every sandbox
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
