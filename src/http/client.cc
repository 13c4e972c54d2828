#include "http/client.h"

#include <algorithm>

#include "http/client_link.h"

namespace mayfly::http {
namespace {

constexpr size_t kMaxIdleLinks = 64;  // kept; a burst above it opens and closes connections, which is still correct

// What would end the request line early is a bug of the caller or an attack through it; either way it is not sent.
bool is_sendable(const ClientRequest& request) {
  bool clean = std::none_of(request.target.begin(), request.target.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
  if (request.upgrade && request.stream) return false;  // a tunnel and an upload would write at once
  return clean && !request.target.empty() && is_token(request.method);
}

// RFC 9110 section 9.2.2: sending it twice does what sending it once does.
bool may_repeat(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

// The links that wait for work; the most recently used first, so that the others age out at the server. A link is shared with the task
// that uploads through it.
struct IdleLinks {
  std::vector<std::shared_ptr<ClientLink>> links;
  void give_back(std::shared_ptr<ClientLink> link) {
    if (!link->reusable()) return link->close();  // whoever still uploads through it learns it
    if (links.size() < kMaxIdleLinks) links.push_back(std::move(link));
  }
  std::shared_ptr<ClientLink> take() {
    while (!links.empty()) {
      auto link = std::move(links.back());
      links.pop_back();
      if (!link->peer_gone()) return link;
    }
    return nullptr;
  }
};

// Owns its link until the body has been read to its end; dropping it earlier closes the connection.
class ResponseBody final : public Body {
 public:
  ResponseBody(std::shared_ptr<ClientLink> link, IdleLinks& idle, io::Deadline deadline)
      : link_(std::move(link)), idle_(idle), deadline_(deadline), declared_(link_->declared_size()) {
    if (link_->complete()) idle_.give_back(std::move(link_));
  }
  ~ResponseBody() override { abandon(); }
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (link_ == nullptr) co_return std::nullopt;
    auto piece = co_await link_->read_body(deadline_);
    if (link_->complete()) idle_.give_back(std::move(link_));
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return declared_; }
  void abandon() override {
    if (link_ != nullptr) link_->close();
  }

 private:
  std::shared_ptr<ClientLink> link_;
  IdleLinks& idle_;
  io::Deadline deadline_;
  std::optional<uint64_t> declared_;
};

class Client final : public HttpClient {
 public:
  Client(Connector connect, std::string host) : connect_(std::move(connect)), host_(std::move(host)) {}

  io::Task<std::expected<ClientResponse, ClientError>> send(ClientRequest request, io::Deadline deadline) override {
    if (!is_sendable(request)) co_return std::unexpected(ClientError::malformed);
    // A streamed body cannot be sent twice, so it does not risk a kept connection that the server may just have closed.
    std::shared_ptr<ClientLink> link = request.stream || request.upgrade ? nullptr : idle_.take();
    if (link != nullptr) {
      auto head = co_await link->exchange(request, host_, deadline);
      bool again = !head && !link->heard() && head.error() == ClientError::disconnected && may_repeat(request.method);
      if (!again) co_return respond(std::move(link), std::move(head), deadline);
      idle_.links.clear();  // the server has closed one: the older ones are no better
    }
    auto stream = co_await connect_(deadline);
    if (!stream && link != nullptr) co_return std::unexpected(ClientError::disconnected);  // it had left once
    if (!stream) co_return std::unexpected(stream.error() == io::StreamError::timed_out ? ClientError::timed_out : ClientError::connect_failed);
    link = std::make_shared<ClientLink>(std::move(*stream));
    auto head = co_await link->exchange(request, host_, deadline);
    co_return respond(std::move(link), std::move(head), deadline);
  }

 private:
  std::expected<ClientResponse, ClientError> respond(std::shared_ptr<ClientLink> link, std::expected<ClientLink::Head, ClientError> head, io::Deadline deadline) {
    if (!head) {
      link->close();
      return std::unexpected(head.error());
    }
    if (head->tunnel) return ClientResponse{.status = head->status, .headers = std::move(head->headers), .body = make_body({}), .arrived = true, .tunnel = std::move(head->tunnel)};
    bool arrived = link->arrived();
    return ClientResponse{.status = head->status, .headers = std::move(head->headers), .body = std::make_unique<ResponseBody>(std::move(link), idle_, deadline),
                          .arrived = arrived, .tunnel = nullptr};
  }

  Connector connect_;
  std::string host_;
  IdleLinks idle_;
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(Connector connect, std::string host) { return std::make_unique<Client>(std::move(connect), std::move(host)); }

std::unique_ptr<HttpClient> make_http_client(io::Shard& shard, std::string host, uint16_t port) {
  std::string field = host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
  return make_http_client([&shard, host = std::move(host), port](io::Deadline deadline) { return shard.connect(host, port, deadline); }, std::move(field));
}

}  // namespace mayfly::http
