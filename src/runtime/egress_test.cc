// Egress from real sandboxes: what was granted is reached, and nothing else.
#include "runtime/egress.h"

#include "runtime/sandbox_fixture.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kHandler =
    "import errno, socket\n"
    "def handler(event, context):\n"
    "    host, port, text = event.decode().split(' ')\n"
    "    try:\n"
    "        s = socket.create_connection((host, int(port)), 5)\n"
    "        s.sendall(text.encode())\n"
    "        s.shutdown(socket.SHUT_WR)\n"
    "        got = b''\n"
    "        while piece := s.recv(65536): got += piece\n"
    "        return got or 'closed'\n"
    "    except socket.gaierror: return 'no such name'\n"
    "    except OSError as e: return errno.errorcode[e.errno]\n";

class EgressOfASandbox : public InSandbox {
 protected:
  // Answers each connection with what it got, in capitals, once that has ended; stops with the shard's listener.
  static io::Task<void> serve(std::shared_ptr<io::Listener> listener) {
    while (auto stream = co_await listener->accept()) {
      std::string all;
      char piece[4096];
      while (auto got = co_await stream->read_some(piece, io::Deadline::never())) {
        if (*got == 0) break;
        all.append(piece, *got);
      }
      for (char& c : all) c = static_cast<char>(std::toupper(c));
      (void)co_await stream->write_all(all, io::Deadline::never());
    }
  }
  uint16_t listen(const std::string& host) {
    uint16_t port = 0;
    on_shard([&] {
      listeners_.push_back(std::shared_ptr<io::Listener>(shard_.listen(host, 0)));
      port = listeners_.back()->port();
      servers_.spawn(serve(listeners_.back()));
    });
    return port;
  }
  void TearDown() override {
    on_shard([&] {
      for (auto& each : listeners_) each->close();
    });
    wait<void>([this] { return servers_.drain(); });
    InSandbox::TearDown();
  }
  std::unique_ptr<Instance> granted(std::vector<std::string> egress) {
    auto runnable = function(kHandler);
    runnable->function.egress = std::move(egress);
    runnable->function.timeout_s = 20;
    return started(runnable);
  }
  std::string reach(Instance& instance, const std::string& host, int port, const std::string& text = "hello") {
    return call(instance, fmt::format("{} {} {}", host, port, text)).body;
  }

  std::vector<std::shared_ptr<io::Listener>> listeners_;  // shared with their tasks
  io::TaskGroup servers_{shard_};
};

TEST_F(EgressOfASandbox, ReachesWhatWasGrantedAndNothingElse) {
  uint16_t granted_port = listen("127.0.0.1"), other = listen("127.0.0.1");
  auto instance = granted({fmt::format("localhost:{}", granted_port)});
  EXPECT_EQ(reach(*instance, "localhost", granted_port), "HELLO");
  EXPECT_EQ(reach(*instance, "127.0.0.1", granted_port, "again"), "AGAIN");
  EXPECT_EQ(reach(*instance, "localhost", other), "ECONNREFUSED");
  EXPECT_EQ(reach(*instance, "example.com", 80), "no such name");
  EXPECT_EQ(reach(*instance, "8.8.8.8", 53), "ENETUNREACH");
  EXPECT_EQ(reach(*instance, "169.254.169.254", 80), "ENETUNREACH");
  EXPECT_EQ(reach(*instance, "100.100.100.200", 80), "ENETUNREACH");
  stop(std::move(instance));
}

TEST_F(EgressOfASandbox, AnAddressIsReachedAsItIs) {
  uint16_t port = listen("127.0.0.2");
  auto instance = granted({fmt::format("127.0.0.2:{}", port), "192.0.2.7:80"});
  EXPECT_EQ(reach(*instance, "127.0.0.2", port), "HELLO");
  EXPECT_EQ(reach(*instance, "192.0.2.8", 80), "ENETUNREACH") << "192.0.2.7 is not its neighbour";
  stop(std::move(instance));
}

TEST_F(EgressOfASandbox, ANameThatLeadsToThisMachineIsClosed) {
  uint16_t port = listen("127.0.0.1");
  auto instance = granted({fmt::format("ip6-localhost:{}", port), fmt::format("no-such-host.invalid:{}", port)});
  // Reset, if what it sent came before the end.
  for (const char* name : {"ip6-localhost", "no-such-host.invalid"}) {
    std::string answer = reach(*instance, name, port);
    EXPECT_TRUE(answer == "closed" || answer == "ECONNRESET") << name << ": " << answer;
  }
  stop(std::move(instance));
}

TEST_F(EgressOfASandbox, MuchIsCarriedBothWays) {
  uint16_t port = listen("127.0.0.1");
  auto instance = granted({fmt::format("localhost:{}", port)});
  EXPECT_EQ(reach(*instance, "localhost", port, std::string(4 << 20, 'x')), std::string(4 << 20, 'X'));
  stop(std::move(instance));
}

}  // namespace
}  // namespace mayfly::runtime
