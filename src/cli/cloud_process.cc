#include "cli/cloud_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fault.h"
#include "sys/file.h"
#include "sys/unix_socket.h"

extern char** environ;

namespace mayfly::cli {
namespace {

constexpr size_t kMaxMessageBytes = 1 << 20;  // a command line; the kernel allows no longer one argument than 128 KiB
constexpr int kNotStarted = 127;              // the shell's code for a command that cannot be run

void enter_namespaces(Network network) {
  int wanted = CLONE_NEWNS | (network == Network::own ? CLONE_NEWNET : 0);
  if (geteuid() == 0 && unshare(wanted) == 0) return;
  uid_t user = geteuid();
  gid_t group = getegid();
  sys::check(unshare(CLONE_NEWUSER | wanted), "unshare", "user, mount and net namespaces");
  sys::write_file("/proc/self/setgroups", "deny");
  sys::write_file("/proc/self/uid_map", fmt::format("{} {} 1", user, user));
  sys::write_file("/proc/self/gid_map", fmt::format("{} {} 1", group, group));
}

void raise_loopback() {
  sys::Fd socket(static_cast<int>(sys::check(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "loopback")));
  ifreq request{};
  std::string_view("lo").copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  sys::check(ioctl(socket.get(), SIOCSIFFLAGS, &request), "ioctl(SIOCSIFFLAGS)", "lo");
}

sys::Fd listen_on(const std::string& address, uint16_t port) {
  sys::Fd socket(static_cast<int>(sys::check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", "listener")));
  int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &name.sin_addr);
  std::string where = fmt::format("{}:{}", address, port);
  sys::check(bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), "bind", where);
  sys::check(::listen(socket.get(), SOMAXCONN), "listen", where);
  return socket;
}

// In the child: "" once everything is in place, else what failed.
std::string enter_view(const CloudView& view, Network network, const std::vector<uint16_t>& ports, std::vector<sys::Fd>& listeners) {
  try {
    enter_namespaces(network);
    if (network == Network::own) raise_loopback();
    for (uint16_t port : ports) listeners.push_back(listen_on(view.address, port));
    sys::check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", "/ private");
    sys::check(mount((view.folder + "/hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), "mount", "/etc/hosts");
    return {};
  } catch (const sys::Fault& fault) {
    return fault.what();
  }
}

[[noreturn]] void become(const CloudView& view, std::string_view message) {
  // What the terminal's session asks of proxies does not hold inside.
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}) unsetenv(name);
  for (const auto& [name, value] : view.environment) setenv(name.c_str(), value.c_str(), 1);
  std::vector<std::string> words;
  for (size_t at = 0; at < message.size();) {
    size_t end = message.find('\0', at);
    words.emplace_back(message.substr(at, end - at));
    at = end + 1;
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  signal(SIGINT, SIG_DFL);
  signal(SIGQUIT, SIG_DFL);
  execvp(arguments[0], arguments.data());
  fmt::print(stderr, "mayfly: cannot run {}: {}\n", words[0], strerror(errno));
  _exit(kNotStarted);
}

[[noreturn]] void run_child(const CloudView& view, Network network, const std::vector<uint16_t>& ports, sys::Fd control) {
  std::vector<sys::Fd> listeners;
  std::string problem = enter_view(view, network, ports, listeners);
  std::vector<int> fds;
  for (const sys::Fd& listener : listeners) fds.push_back(listener.get());
  if (!problem.empty()) fds.clear();
  sys::send_message(control.get(), problem.empty() ? "ready" : problem, fds);
  sys::Message command;
  bool told = problem.empty() && sys::receive_message(control.get(), kMaxMessageBytes, command) == sys::Received::message;
  if (!told) _exit(kNotStarted);
  listeners.clear();
  become(view, command.bytes);
}

}  // namespace

Result<CloudProcess> CloudProcess::start(const CloudView& view, Network network, const std::vector<uint16_t>& ports) {
  CloudProcess process;
  auto [here, there] = sys::socket_pair(SOCK_SEQPACKET);
  process.child_ = fork();
  if (process.child_ < 0) return fail(Kind::local, fmt::format("fork: {}", strerror(errno)));
  if (process.child_ == 0) {
    here.reset();
    run_child(view, network, ports, std::move(there));
  }
  there.reset();
  process.control_ = std::move(here);
  sys::Message answer;
  if (sys::receive_message(process.control_.get(), kMaxMessageBytes, answer) != sys::Received::message) answer.bytes = "its process ended";
  if (answer.bytes != "ready") {
    process.wait();
    return fail(Kind::local, "cannot make the cloud's view: " + answer.bytes,
                network == Network::shared ? "--keep-network needs root, for ports 80 and 443" : "`mayfly doctor` says which kernel facility is missing");
  }
  process.listeners_ = std::move(answer.fds);
  return process;
}

Result<void> CloudProcess::go(const std::vector<std::string>& command) {
  std::string message;
  for (const std::string& word : command) message += word + '\0';
  signal(SIGINT, SIG_IGN);  // Ctrl-C is for the tool, which shares our terminal
  signal(SIGQUIT, SIG_IGN);
  if (!sys::send_message(control_.get(), message)) return fail(Kind::local, "the tool's process is gone");
  return {};
}

int CloudProcess::wait() {
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace mayfly::cli
