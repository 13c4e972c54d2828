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
  // Starts with a bootstrap script that does this before anything else, and then serves what it left in /tmp/said.
  std::shared_ptr<functions::Runnable> bootstrap(const std::string& first, std::vector<std::string> egress) {
    auto runnable = function("");
    runnable->function.runtime = "custom";
    runnable->function.egress = std::move(egress);
    sys::write_file(runnable->code_path + "/server.py",
                    "import http.server\n"
                    "class Handler(http.server.BaseHTTPRequestHandler):\n"
                    "    def do_POST(self):\n"
                    "        body = open('/tmp/said', 'rb').read()\n"
                    "        self.send_response(200)\n"
                    "        self.send_header('Content-Length', str(len(body)))\n"
                    "        self.end_headers()\n"
                    "        self.wfile.write(body)\n"
                    "http.server.HTTPServer(('0.0.0.0', 9000), Handler).serve_forever()\n");
    sys::write_file(runnable->code_path + "/bootstrap", "#!/bin/bash\n" + first + "\nexec /usr/bin/python3 /code/server.py\n", 0755);
    return runnable;
  }
  std::string failure_of(std::shared_ptr<functions::Runnable> runnable) {
    auto instance = start(std::move(runnable));
    return instance ? "started" : instance.error().message;
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

TEST_F(EgressOfASandbox, ANameThatLeadsToThisMachineOrNowhereIsClosed) {
  uint16_t port = listen("127.0.0.1");
  // The first is what every resolver takes for 127.0.0.1, and no name of this machine. Inside, 127.0.1.1 is where it is reached.
  auto instance = granted({fmt::format("2130706433:{}", port), fmt::format("no-such-host.invalid:{}", port)});
  // Reset, if what it sent came before the end.
  for (const char* name : {"127.0.1.1", "no-such-host.invalid"}) {
    std::string answer = reach(*instance, name, port);
    EXPECT_TRUE(answer == "closed" || answer == "ECONNRESET") << name << ": " << answer;
  }
  stop(std::move(instance));
}

TEST_F(EgressOfASandbox, APlaceOfTheDoorIsRefusedWithASentence) {
  auto runnable = function(kHandler);
  runnable->function.egress = {"localhost:8080"};
  auto refused = start(runnable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StartError::sandbox);
  EXPECT_NE(refused.error().message.find("localhost:8080 was granted, and in a sandbox the platform answers there"), std::string::npos) << refused.error().message;
  stop_factory();  // waits for every process
}

TEST_F(EgressOfASandbox, AListenerThatCannotBeHadIsNamedAndNothingIsLeftOfTheStart) {
  auto runnable = function(kHandler);
  runnable->function.egress = {"db.example.com:5432", "127.0.1.1:5432"};  // which is where the first is, inside
  auto refused = start(runnable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StartError::sandbox);
  EXPECT_NE(refused.error().message.find("127.0.1.1:5432"), std::string::npos) << refused.error().message;
  stop_factory();  // waits for every process
}

TEST_F(EgressOfASandbox, StandsBeforeTheProgramBegins) {
  uint16_t port = listen("127.0.0.1");
  std::vector<std::string> egress;
  for (size_t i = 1; i < functions::kMaxEgressRules; ++i) egress.push_back(fmt::format("host-{}.example.com:80", i));
  egress.push_back(fmt::format("localhost:{}", port));  // the last, when the others have taken their time
  auto instance = started(bootstrap(fmt::format("if (exec 9<>/dev/tcp/127.0.0.1/{}) 2>/dev/null; then echo reached; else echo refused; fi > /tmp/said", port), egress));
  EXPECT_EQ(call(*instance, "").body, "reached\n");
  stop(std::move(instance));
}

TEST_F(EgressOfASandbox, ThePortOfAFunctionsOwnServerCannotBeOneOfThem) {
  EXPECT_EQ(failure_of(bootstrap("", {"localhost:9000"})),
            R"({"errorMessage":"the function was granted localhost:9000, and its server listens on port 9000 too: give the server another","errorType":"FunctionNotStarted"})");
  std::string taken = failure_of(bootstrap("", {"db.example.com:9000"}));
  EXPECT_NE(taken.find("the function was granted db.example.com:9000, and its server listens on port 9000 too"), std::string::npos) << taken;
}

TEST_F(EgressOfASandbox, ManyConnectionsAreCarriedAtOnce) {
  uint16_t port = listen("127.0.0.1");
  auto runnable = function(
      "import socket\n"
      "def answered(s):\n"
      "    try:\n"
      "        s.sendall(b'x')\n"
      "        s.shutdown(socket.SHUT_WR)\n"
      "        return s.recv(10) == b'X'\n"
      "    except OSError: return False\n"
      "def handler(event, context):\n"
      "    sockets = [socket.create_connection(('localhost', int(event)), 5) for _ in range(200)]\n"
      "    return sum(answered(s) for s in sockets)\n");
  runnable->function.egress = {fmt::format("localhost:{}", port)};
  runnable->function.timeout_s = 20;
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, std::to_string(port)).body, "200");
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
