#include <future>

#include "cli/client.h"
#include "http/client.h"
#include "io/group.h"

namespace mayfly::cli {
namespace {

// One connection pool on one loop on one thread; the caller's thread waits for each reply.
class HttpTransport final : public Transport {
 public:
  HttpTransport(std::string endpoint, std::string host, uint16_t port) : endpoint_(std::move(endpoint)), shard_(0), group_(shard_) {
    client_ = http::make_http_client(shard_, std::move(host), port);
    thread_ = std::thread([this] { shard_.run(); });
  }
  ~HttpTransport() override {
    std::promise<void> gone;
    shard_.post([&] {
      client_.reset();
      gone.set_value();
    });
    gone.get_future().wait();
    shard_.stop();
    thread_.join();
  }

  Result<Reply> send(Outgoing request) override {
    std::promise<Result<Reply>> done;
    auto reply = done.get_future();
    shard_.post([&] { group_.spawn(exchange(&request, &done)); });
    return reply.get();
  }
  std::string endpoint() const override { return endpoint_; }

 private:
  // `request` and `done` live in send(), which waits for `done`.
  io::Task<void> exchange(Outgoing* request, std::promise<Result<Reply>>* done) {
    std::optional<Result<Reply>> result;
    try {
      result.emplace(co_await attempt(request));
    } catch (const std::exception& fault) {
      result.emplace(fail(Kind::local, fault.what()));
    }
    done->set_value(std::move(*result));
  }

  io::Task<Result<Reply>> attempt(Outgoing* request) {
    io::Deadline deadline = io::Deadline::after_us(shard_, request->timeout_us);
    http::ClientRequest wire{.method = request->method, .target = request->target, .headers = request->headers, .body = std::move(request->body),
                             .stream = std::move(request->stream)};
    auto response = co_await client_->send(std::move(wire), deadline);
    if (!response) co_return failure(response.error());
    Reply reply{.status = response->status, .headers = response->headers, .body = {}};
    bool streamed = request->sink && response->status < 300;
    while (true) {
      auto piece = co_await response->body->next();
      if (!piece) co_return fail(Kind::unreachable, "the connection to " + endpoint_ + " broke in the middle of a reply");
      if (!*piece) break;
      if (streamed) {
        if (!request->sink(**piece)) co_return fail(Kind::local, "the transfer was stopped: the output cannot be written");
      } else {
        reply.body += **piece;
        if (reply.body.size() > kMaxReplyBytes) co_return fail(Kind::refused, fmt::format("the reply is larger than {} MiB", kMaxReplyBytes >> 20));
      }
    }
    co_return reply;
  }

  std::unexpected<Failure<Refusal>> failure(http::ClientError error) const {
    switch (error) {
      case http::ClientError::connect_failed:
        return fail(Kind::unreachable, "no server answers at " + endpoint_, "start it with `mayfly up`, or name another one with --endpoint");
      case http::ClientError::timed_out:
        return fail(Kind::unreachable, "the server at " + endpoint_ + " did not answer in time");
      case http::ClientError::disconnected:
        return fail(Kind::unreachable, "the server at " + endpoint_ + " closed the connection");
      case http::ClientError::body_failed:
        return fail(Kind::local, "what should be sent to " + endpoint_ + " could not be read to its end");
      case http::ClientError::malformed:
        return fail(Kind::unreachable, "what answers at " + endpoint_ + " does not speak HTTP");
    }
    return fail(Kind::unreachable, "the server at " + endpoint_ + " cannot be used");
  }

  std::string endpoint_;
  io::Shard shard_;
  io::TaskGroup group_;
  std::unique_ptr<http::HttpClient> client_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Transport>> make_transport(const std::string& endpoint) {
  std::string_view rest = endpoint;
  if (rest.starts_with("https://"))
    return fail(Kind::usage, "the command line speaks plain http to its server: " + endpoint, "use the server's http endpoint");
  if (rest.starts_with("http://")) rest.remove_prefix(7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  size_t colon = rest.rfind(':');
  std::string host(rest.substr(0, colon));
  unsigned port = 80;
  if (colon != std::string_view::npos) {
    std::string_view digits = rest.substr(colon + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65535) port = 0;
  }
  if (host.empty() || port == 0) return fail(Kind::usage, "cannot read the endpoint \"" + endpoint + "\"", "write it as http://host:port");
  return std::unique_ptr<Transport>(std::make_unique<HttpTransport>(endpoint, host, static_cast<uint16_t>(port)));
}

}  // namespace mayfly::cli
