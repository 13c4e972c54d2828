#include <fcntl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "instance.h"
#include "local.h"

namespace mayfly {
namespace {

constexpr int kLinkFd = 3;

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// serve() is not handed the arguments of main, which would only be noise there.
std::vector<std::string> arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string all{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> out;
  for (size_t at = 0; at < all.size();) {
    size_t end = all.find('\0', at);
    out.push_back(all.substr(at, end - at));
    at = end == all.npos ? all.size() : end + 1;
  }
  if (out.empty()) out.emplace_back("function");
  return out;
}

}  // namespace

int serve(std::vector<Function> functions) {
  std::vector<std::string> words = arguments();
  bool by_hand = words.size() > 1 && words[1].starts_with("--");
  if (by_hand || !is_stream_socket(kLinkFd)) return detail::run_locally(functions, words);
  ::fcntl(kLinkFd, F_SETFD, FD_CLOEXEC);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a log line is seen when it is printed
  return detail::Instance(kLinkFd, functions, words[0].substr(words[0].rfind('/') + 1)).run();
}

}  // namespace mayfly
