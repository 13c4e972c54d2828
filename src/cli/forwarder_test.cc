#include "cli/forwarder.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "cli/cloud_process.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

struct Listening {
  sys::Fd fd;
  uint16_t port = 0;
};

Listening listen_somewhere() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Listening out{sys::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
  EXPECT_EQ(bind(out.fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(out.fd.get(), 8), 0);
  socklen_t size = sizeof address;
  getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  out.port = ntohs(address.sin_port);
  return out;
}

sys::Fd connect_to(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sys::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

std::string read_to_end(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t size; (size = read(fd, buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(size));
  return all;
}

TEST(Forwarder, CarriesBytesBothWaysAndKeepsHalfClosedConnections) {
  Listening target = listen_somewhere(), door = listen_somewhere();
  Forwarder forwarder;
  forwarder.add(std::move(door.fd), {"127.0.0.1", target.port});
  forwarder.start();
  sys::Fd tool = connect_to(door.port);
  sys::write_all(tool.get(), "question", "tool");
  shutdown(tool.get(), SHUT_WR);
  sys::Fd server(accept(target.fd.get(), nullptr, nullptr));
  EXPECT_EQ(read_to_end(server.get()), "question");
  sys::write_all(server.get(), std::string(200'000, 'x'), "server");
  server.reset();
  EXPECT_EQ(read_to_end(tool.get()).size(), 200'000u);
}

TEST(Forwarder, EndsWithConnectionsStillOpen) {
  Listening target = listen_somewhere(), door = listen_somewhere();
  sys::Fd tool;
  {
    Forwarder forwarder;
    forwarder.add(std::move(door.fd), {"127.0.0.1", target.port});
    forwarder.start();
    tool = connect_to(door.port);
    sys::write_all(tool.get(), "x", "tool");
    sys::Fd server(accept(target.fd.get(), nullptr, nullptr));
    char byte;
    EXPECT_EQ(read(server.get(), &byte, 1), 1);
  }
  EXPECT_EQ(read_to_end(tool.get()), "");
}

// The whole of `mayfly cloud`, but for the server: a tool in its own network reaches a socket of ours by one of the vendor's names.
TEST(CloudProcess, LeadsTheVendorsNamesToUs) {
  Listening target = listen_somewhere();
  std::string folder = testing::TempDir() + "cloud-view-test";
  sys::make_folders(folder);
  Settings settings{.endpoint = "http://127.0.0.1:1", .tls_endpoint = "https://127.0.0.1:2", .region = "r", .keys = {{"AK", "SK", "", 0}, "1"}};
  CloudView view = make_cloud_view(folder, "127.0.0.1", settings, "authority", "http://127.0.0.1:1", {});
  auto process = CloudProcess::start(view, Network::own, {80});
  if (!process) GTEST_SKIP() << process.error().message;  // a kernel or container without namespaces
  Forwarder forwarder;
  std::vector<sys::Fd> listeners = process->take_listeners();
  ASSERT_EQ(listeners.size(), 1u);
  forwarder.add(std::move(listeners[0]), {"127.0.0.1", target.port});
  forwarder.start();
  ASSERT_TRUE(process->go({"bash", "-c", "exec 3<>/dev/tcp/ram.aliyuncs.com/80; echo \"$ACCESS_KEY_ID\" >&3; read code <&3; exit $code"}));
  sys::Fd server(accept(target.fd.get(), nullptr, nullptr));
  char buffer[16] = {};
  EXPECT_EQ(read(server.get(), buffer, sizeof buffer), 3);
  EXPECT_STREQ(buffer, "AK\n");
  sys::write_all(server.get(), "9\n", "server");
  EXPECT_EQ(process->wait(), 9);
  sys::remove_tree(folder);
}

}  // namespace
}  // namespace mayfly::cli
