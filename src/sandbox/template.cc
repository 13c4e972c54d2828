#include "sandbox/template.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "sys/fault.h"
#include "sys/file.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {
namespace {

constexpr size_t kMostLinked = 64;  // those of etc.h, of which there are six, and a few

sys::Fd mount_namespace() { return sys::open_file("/proc/self/ns/mnt", O_RDONLY); }

// In a child: its namespaces outlive it by the descriptors it sends.
[[noreturn]] void build(const sys::Fd& to, const std::vector<Bind>& binds) {
  try {
    auto root = enter_root(take_trees(binds));
    auto space = mount_namespace();
    const int handed[] = {space.get(), root.get()};
    sys::send_message(to.get(), "k", handed);
  } catch (const sys::Fault& fault) {
    sys::send_message(to.get(), fault.what());
  }
  ::_exit(0);
}

}  // namespace

Template::Template(const std::vector<Bind>& binds) : host_(mount_namespace()) {
  auto [ours, theirs] = sys::socket_pair(SOCK_SEQPACKET);
  pid_t builder = fork_into(CLONE_NEWNS | CLONE_NEWPID);
  if (builder == 0) build(theirs, binds);
  theirs.reset();
  sys::Message message;
  auto received = sys::receive_message(ours.get(), kMaxPlanBytes, message);
  sys::check(::waitpid(builder, nullptr, 0), "waitpid", "the template's builder");
  if (received != sys::Received::message) throw sys::Fault("clone", "the template's builder", ECHILD);
  if (message.bytes != "k") throw std::runtime_error(message.bytes);
  own_ = std::move(message.fds.at(0));
  root_ = std::move(message.fds.at(1));
}

void Template::prepare(const std::vector<Tree>& trees, const std::map<std::string, std::string>& files) {
  make_mount_points(root_, trees);
  bool all = std::all_of(files.begin(), files.end(), [this](const auto& file) { return linked_.contains(file.first); });
  if (all) return;
  make_file_links(root_, files);
  for (const auto& [path, text] : files)
    if (linked_.size() < kMostLinked) linked_.insert(path);
}

Template::Visit::Visit(const Template& visited) : visited_(visited) { sys::check(::setns(visited.own_.get(), CLONE_NEWNS), "setns", "template"); }

// A nursery that could not come back would show its own file system for the host's: it ends here, and another is started.
Template::Visit::~Visit() { MAYFLY_CHECK_OP(::setns(visited_.host_.get(), CLONE_NEWNS), ==, 0); }

}  // namespace mayfly::sandbox
