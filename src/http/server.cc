#include "http/server.h"

#include <list>
#include <unordered_set>

#include "http/connection.h"
#include "http/tls.h"

namespace mayfly::http {
namespace {

constexpr int64_t kHandshakeUs = 10 * kMicrosPerSecond;  // a TLS handshake is two round trips; slower clients are attackers
constexpr size_t kMaxRefusals = 64;                      // connections over the limit being told 503 at one time; more are just closed
constexpr int64_t kRefusalUs = kMicrosPerSecond;         // how long each of them may take to listen

class Server final : public HttpServer {
 public:
  Server(io::Loop& loop, Handler handler, ServerLimits limits, std::shared_ptr<TlsContext> tls)
      : shared_{.loop = loop, .handler = std::move(handler), .limits = limits, .head_writer = HeadWriter(loop.clock())}, tls_(std::move(tls)), tasks_(loop), ended_(loop) {}

  void serve(std::unique_ptr<io::Listener> listener, std::string scheme, std::string door) override {
    MAYFLY_CHECK(!shared_.draining);
    MAYFLY_CHECK(scheme != "https" || tls_ != nullptr);
    doors_.push_back({std::move(listener), std::move(scheme), std::move(door)});
    tasks_.spawn(accept_from(std::prev(doors_.end())));
  }

  void close_door(const std::string& door) override {
    for (Door& open : doors_)
      if (open.name == door) open.listener->close();
  }

  io::Task<void> drain(io::Deadline deadline) override {
    shared_.draining = true;
    for (Door& door : doors_) door.listener->close();
    for (Connection* connection : std::vector(open_.begin(), open_.end())) connection->close_if_idle();
    while (count_ > 0) {
      ended_.reset();
      if (co_await ended_.wait(deadline) == io::Wait::timed_out) break;
    }
    for (Connection* connection : std::vector(open_.begin(), open_.end())) connection->close();
    co_await tasks_.drain();
  }

  size_t connections() const override { return count_; }
  uint64_t requests() const override { return shared_.requests; }

 private:
  struct Door {
    std::unique_ptr<io::Listener> listener;
    std::string scheme;
    std::string name;
    std::shared_ptr<size_t> open = std::make_shared<size_t>(0);  // shared with its connections, which may outlive it
  };

  bool has_room(const Door& door) const {
    return count_ < shared_.limits.connections && (door.name.empty() || *door.open < shared_.limits.door_connections);
  }

  io::Task<void> accept_from(std::list<Door>::iterator door) {
    while (auto stream = co_await door->listener->accept()) {
      if (has_room(*door)) {
        tasks_.spawn(converse(std::move(stream), door->scheme, door->name, door->open));
      } else if (refusals_ < kMaxRefusals && door->scheme == "http") {
        tasks_.spawn(turn_away(std::move(stream)));
      }
    }
    doors_.erase(door);
  }

  // Counts a connection for as long as it lives, however it ends.
  struct Seat {
    Server& server;
    std::shared_ptr<size_t> door;
    Connection* connection = nullptr;
    Seat(Server& server, std::shared_ptr<size_t> door) : server(server), door(std::move(door)) {
      ++server.count_;
      ++*this->door;
    }
    Seat(const Seat&) = delete;
    ~Seat() {
      server.open_.erase(connection);
      --server.count_;
      --*door;
      if (server.shared_.draining) server.ended_.set();
    }
  };

  io::Task<void> converse(std::unique_ptr<io::Stream> stream, std::string scheme, std::string door, std::shared_ptr<size_t> open) {
    Seat seat(*this, std::move(open));
    if (scheme == "https") stream = co_await tls_->accept(std::move(stream), io::Deadline::after_us(shared_.loop, kHandshakeUs));
    if (stream == nullptr) co_return;
    Connection connection(shared_, std::move(stream), std::move(scheme), std::move(door));
    seat.connection = &connection;
    open_.insert(&connection);
    co_await connection.run();
  }

  io::Task<void> turn_away(std::unique_ptr<io::Stream> stream) {
    ++refusals_;
    io::Deadline deadline = io::Deadline::after_us(shared_.loop, kRefusalUs);
    Response response{.status = 503, .body = "too many connections\n"};
    response.headers.add("Content-Type", "text/plain");
    response.headers.add("Retry-After", "1");
    std::string out;
    shared_.head_writer.write(out, response, {Framing::Kind::sized, response.body.size()}, Persist::close);
    out += response.body;
    if (co_await stream->write_all(out, deadline)) {
      stream->shutdown_write();
      char sink[4096];
      while (true) {
        auto got = co_await stream->read_some(sink, deadline);
        if (!got || *got == 0) break;
      }
    }
    stream->close();
    --refusals_;
  }

  ServerShared shared_;
  std::shared_ptr<TlsContext> tls_;
  std::list<Door> doors_;
  std::unordered_set<Connection*> open_;
  size_t count_ = 0;
  size_t refusals_ = 0;
  io::TaskGroup tasks_;
  io::Signal ended_;
};

}  // namespace

std::unique_ptr<HttpServer> make_http_server(io::Loop& loop, Handler handler, ServerLimits limits, std::shared_ptr<TlsContext> tls) {
  return std::make_unique<Server>(loop, std::move(handler), limits, std::move(tls));
}

}  // namespace mayfly::http
