#include "http/client.h"

#include <algorithm>

#include "http/client_link.h"

namespace mayfly::http {
namespace {

constexpr size_t kMaxIdleLinks = 64;  // kept per address; a burst above it opens and closes connections, which is still correct

// What would end the request line early is a bug of the caller or an attack through it; either way it is not sent.
bool is_sendable(const ClientRequest& request) {
  bool clean = std::none_of(request.target.begin(), request.target.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
  return clean && !request.target.empty() && is_token(request.method);
}

// The links to one address that wait for work; the most recently used first, so that the others age out at the server.
struct IdleLinks {
  std::vector<std::unique_ptr<ClientLink>> links;
  void give_back(std::unique_ptr<ClientLink> link) {
    if (link->reusable() && links.size() < kMaxIdleLinks) links.push_back(std::move(link));
  }
  std::unique_ptr<ClientLink> take() {
    if (links.empty()) return nullptr;
    auto link = std::move(links.back());
    links.pop_back();
    return link;
  }
};

// Owns its link until the body has been read to its end; dropping it earlier closes the connection.
class ResponseBody final : public Body {
 public:
  ResponseBody(std::unique_ptr<ClientLink> link, IdleLinks& idle, io::Deadline deadline)
      : link_(std::move(link)), idle_(idle), deadline_(deadline), declared_(link_->declared_size()) {
    if (link_->complete()) idle_.give_back(std::move(link_));
  }
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (link_ == nullptr) co_return std::nullopt;
    auto piece = co_await link_->read_body(deadline_);
    if (link_->complete()) idle_.give_back(std::move(link_));
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return declared_; }

 private:
  std::unique_ptr<ClientLink> link_;
  IdleLinks& idle_;
  io::Deadline deadline_;
  std::optional<uint64_t> declared_;
};

class Client final : public HttpClient {
 public:
  Client(io::Shard& shard, std::string host, uint16_t port)
      : shard_(shard), host_(std::move(host)), port_(port), host_field_(host_.contains(':') ? fmt::format("[{}]:{}", host_, port_) : fmt::format("{}:{}", host_, port_)) {}

  io::Task<std::expected<ClientResponse, ClientError>> send(ClientRequest request, io::Deadline deadline) override {
    if (!is_sendable(request)) co_return std::unexpected(ClientError::malformed);
    // A streamed body cannot be sent twice, so it does not risk a kept connection that the server may just have closed.
    std::unique_ptr<ClientLink> link = request.stream ? nullptr : idle_.take();
    if (link != nullptr) {
      auto head = co_await link->exchange(request, host_field_, deadline);
      if (head || link->heard() || head.error() != ClientError::disconnected) co_return respond(std::move(link), std::move(head), deadline);
      idle_.links.clear();  // the server has closed one: the older ones are no better
    }
    auto stream = co_await shard_.connect(host_, port_, deadline);
    if (!stream) co_return std::unexpected(stream.error() == io::StreamError::timed_out ? ClientError::timed_out : ClientError::connect_failed);
    link = std::make_unique<ClientLink>(std::move(*stream));
    auto head = co_await link->exchange(request, host_field_, deadline);
    co_return respond(std::move(link), std::move(head), deadline);
  }

 private:
  std::expected<ClientResponse, ClientError> respond(std::unique_ptr<ClientLink> link, std::expected<ClientLink::Head, ClientError> head, io::Deadline deadline) {
    if (!head) return std::unexpected(head.error());
    return ClientResponse{head->status, std::move(head->headers), std::make_unique<ResponseBody>(std::move(link), idle_, deadline)};
  }

  io::Shard& shard_;
  std::string host_;
  uint16_t port_;
  std::string host_field_;
  IdleLinks idle_;
};

}  // namespace

std::unique_ptr<HttpClient> make_http_client(io::Shard& shard, std::string host, uint16_t port) {
  return std::make_unique<Client>(shard, std::move(host), port);
}

}  // namespace mayfly::http
