#include "sandbox/init.h"

#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/encoding.h"
#include "sandbox/etc.h"
#include "sandbox/keeper.h"
#include "sandbox/protocol.h"
#include "sandbox/steps.h"
#include "sys/fault.h"

namespace mayfly::sandbox {
namespace {

constexpr uint32_t kUnprivilegedUids = 1'000'000'000;  // from here on, and as many: far above what distributions give to users and containers

uint32_t random_uid() {
  uint32_t chance;
  sys::check(::getrandom(&chance, sizeof chance, 0), "getrandom");
  return kUnprivilegedUids + chance % kUnprivilegedUids;
}

class Nursery {
 public:
  Nursery() : system_(system_binds()) {}

  void serve();

 private:
  sys::Fd make_keeper(std::optional<Base> base);
  void launch(const json::value& order, std::vector<sys::Fd> fds);
  void mount(const json::value& order, std::vector<sys::Fd> fds);

  std::vector<Bind> system_;
  bool by_root_ = started_by_root();
  bool own_namespaces_ = false;
  std::string seccomp_;
};

// A keeper that has been told its base; returns the link to it.
sys::Fd Nursery::make_keeper(std::optional<Base> base) {
  auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
  pid_t pid = fork_into(base ? CLONE_NEWUSER | CLONE_NEWPID : 0);
  if (pid == 0) {
    ours.reset();
    keep(std::move(theirs), seccomp_);
  }
  // An ordinary user's keepers are the user outside, whom our own namespace knows as 0.
  if (base) map_root(pid, by_root_ ? random_uid() : 0);
  sys::send_message(ours.get(), to_text(base ? to_value(*base) : json::value(nullptr)));
  return std::move(ours);
}

void Nursery::launch(const json::value& order, std::vector<sys::Fd> fds) {
  Plan plan = plan_from_value(order);
  Launch what = take_launch(plan, fds);
  try {
    bool isolated = plan.isolation == Isolation::full;
    if (isolated && !by_root_ && !std::exchange(own_namespaces_, true)) become_root_of_own_namespaces();
    auto trees = isolated ? take_trees(own_binds(plan, system_)) : std::vector<Tree>{};
    json::array targets;
    auto handed = fds_of(what);
    for (const auto& tree : trees) {
      targets.emplace_back(tree.target);
      handed.push_back(tree.mount.get());
    }
    auto link = make_keeper(isolated ? std::optional(base_of(plan, system_)) : std::nullopt);
    sys::send_message(link.get(), to_text(json::object{{"launch", order}, {"targets", std::move(targets)}}), handed);
  } catch (const sys::Fault& fault) {
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
    for (const auto& tree : trees) {
      targets += tree.target + '\0';
      handed.push_back(tree.mount.get());
    }
    sys::send_message(lifeline.get(), targets, handed);
  } catch (const sys::Fault& fault) {
    sys::send_message(reply.get(), fault.what());
  }
}

void Nursery::serve() {
  sys::Message message;
  while (sys::receive_message(kServerFd, kMaxPlanBytes, message) == sys::Received::message) {
    auto order = parse_json(message.bytes);
    MAYFLY_CHECK(order.has_value());
    if (const auto* program = find(*order, "seccomp")) seccomp_ = base64_decode(view(program->as_string())).value();
    if (const auto* plan = find(*order, "launch")) launch(*plan, std::move(message.fds));
    if (const auto* binds = find(*order, "mount")) mount(*binds, std::move(message.fds));
  }
}

}  // namespace

int init_main(int, char**) {
  ::prctl(PR_SET_NAME, "mayfly-nursery");
  die_with_parent();
  ::close_range(kServerFd + 1, ~0u, 0);  // whatever a library of the server forgot to close on exec
  ::signal(SIGCHLD, SIG_IGN);            // keepers are reaped by the kernel
  try {
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
