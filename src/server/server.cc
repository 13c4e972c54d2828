#include "server/server.h"

#include <latch>

#include "base/json.h"
#include "io/group.h"
#include "io/hop.h"
#include "io/port.h"
#include "server/net_names.h"
#include "sys/file.h"

namespace mayfly::server {

struct Server::Worker {
  explicit Worker(unsigned index) : shard(index) {}
  io::Shard shard;
  std::unique_ptr<io::Listener> plain, tls;  // until they are served
  std::unique_ptr<http::HttpServer> http;
  std::thread thread;
};

namespace {

constexpr int64_t kDrainUs = 2 * kMicrosPerSecond;  // for answers already on their way out

io::Task<void> store_outcome(io::Task<void> task, std::exception_ptr& fault, std::latch& done) {
  try {
    co_await task;
  } catch (...) {
    fault = std::current_exception();
  }
  done.count_down();
}

// Runs a task on a shard's thread while this thread, which is none of them, waits; throws what it threw.
void run_on(io::Shard& shard, std::function<io::Task<void>()> make) {
  std::latch done(1);
  std::exception_ptr fault;
  io::TaskGroup group(shard);
  shard.post([&] { group.spawn(store_outcome(make(), fault, done)); });
  done.wait();
  std::latch gone(1);
  shard.post([&] { gone.count_down(); });  // the spawned frame has been left
  gone.wait();
  if (fault) std::rethrow_exception(fault);
}

std::string address(const std::string& scheme, const std::string& host, uint16_t port) {
  return fmt::format("{}://{}:{}", scheme, host.contains(':') ? "[" + host + "]" : host, port);
}

}  // namespace

Server::Server(ServerOptions options) : options_(std::move(options)), folder_(options_.data_folder) {}

std::unique_ptr<Server> Server::start(ServerOptions options) {
  SystemClock clock;
  int64_t begun_us = clock.mono_us();
  std::unique_ptr<Server> server(new Server(std::move(options)));
  server->make_shards();
  server->make_node();
  server->serve();
  server->announce();
  server->start_us_ = clock.mono_us() - begun_us;
  return server;
}

Server::~Server() { stop(0); }

void Server::make_shards() {
  unsigned count = options_.shards != 0 ? options_.shards : static_cast<unsigned>(io::usable_cores().size());
  for (unsigned i = 0; i < count; ++i) workers_.push_back(std::make_unique<Worker>(i));
  for (uint16_t port : {options_.port, options_.tls_port}) io::check_port_free(options_.host, port);
  // Every shard binds the same port; the first one chooses it when any will do. A port in use is told before anything is opened.
  for (auto& worker : workers_) {
    worker->plain = worker->shard.listen(options_.host, options_.port);
    options_.port = worker->plain->port();
    worker->tls = worker->shard.listen(options_.host, options_.tls_port);
    options_.tls_port = worker->tls->port();
  }
  endpoint_ = address("http", options_.host, options_.port);
  tls_endpoint_ = address("https", options_.host, options_.tls_port);
}

void Server::make_node() {
  auto authority = http::open_authority(folder_.make_sub("ca"));
  auto certificate = http::issue_certificate(authority, certificate_names(options_.region));
  tls_ = http::make_tls_context(certificate.chain_pem, certificate.private_key_pem);
  std::vector<NodeShard> shards;
  for (auto& worker : workers_) {
    io::Shard& shard = worker->shard;
    worker->http = http::make_http_server(shard, [this, &shard](http::Request request) { return node_->handle(shard, std::move(request)); }, {}, tls_);
    shards.push_back({shard, *worker->http});
  }
  node_ = std::make_unique<Node>(options_, folder_, endpoint_, authority.certificate_pem, std::move(shards));
}

void Server::serve() {
  for (auto& worker : workers_) worker->thread = std::thread([&shard = worker->shard] { shard.run(io::Shard::Pin::yes); });
  io::Shard& first = workers_[0]->shard;
  run_on(first, [&] { return node_->open(first); });
  for (auto& worker : workers_) {
    std::latch serving(1);
    worker->shard.post([&] {
      worker->http->serve(std::move(worker->plain), "http", "");
      worker->http->serve(std::move(worker->tls), "https", "");
      serving.count_down();
    });
    serving.wait();
  }
}

void Server::announce() {
  folder_.announce(to_text(json::object{{"endpoint", endpoint_}, {"tls_endpoint", tls_endpoint_}, {"pid", ::getpid()}, {"version", MAYFLY_VERSION},
                                        {"account", node_->account()}, {"region", options_.region}, {"ca", folder_.sub("ca/authority.crt")}}));
}

void Server::stop(int64_t grace_us) {
  if (std::exchange(stopped_, true)) return;
  folder_.withdraw();
  bool running = !workers_.empty() && workers_[0]->thread.joinable();
  if (running) {
    // The node first, while doors are still open: functions that run now may need the platform to finish. New calls are refused as
    // unavailable from here on. Then the connections.
    io::Shard& first = workers_[0]->shard;
    run_on(first, [&] { return node_->close(first, io::Deadline::after_us(first, grace_us)); });
    for (auto& worker : workers_) run_on(worker->shard, [&] { return worker->http->drain(io::Deadline::after_us(worker->shard, kDrainUs)); });
    run_on(first, [&] { return node_->finish(first); });
  }
  for (auto& worker : workers_) {
    worker->shard.stop();
    if (worker->thread.joinable()) worker->thread.join();
  }
  node_.reset();
  workers_.clear();
}

}  // namespace mayfly::server
