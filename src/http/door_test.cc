// The door (DESIGN 4.10): a listening socket made by somebody else, of a family that is not TCP, handed to the server.
#include <sys/un.h>

#include "http/live_server.h"

namespace mayfly::http {
namespace {

io::Task<Response> say_door(Request request) { co_return Response{.body = fmt::format("door={} peer={}", request.door, request.peer)}; }

// An abstract Unix address: no file to clean up.
sockaddr_un abstract_address(const std::string& name, socklen_t& size) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return address;
}

TEST(Door, ServesASocketOfAnotherFamilyThatWasHandedOver) {
  LiveServer live(say_door);
  socklen_t size = 0;
  sockaddr_un address = abstract_address(fmt::format("mayfly-door-{}", ::getpid()), size);
  sys::Fd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listening.get(), 8), 0);
  live.shard().post([&live, fd = std::move(listening)]() mutable { live.server().serve(live.shard().adopt_listener(std::move(fd)), "http", "photos/faces"); });

  sys::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  std::string_view request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  ASSERT_EQ(::send(client.get(), request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = ::recv(client.get(), buffer, sizeof buffer, 0)) > 0;) answer.append(buffer, static_cast<size_t>(got));
  EXPECT_TRUE(answer.ends_with("door=photos/faces peer=local")) << answer;
}

}  // namespace
}  // namespace mayfly::http
