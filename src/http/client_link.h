#pragma once
// ClientLink: one connection of the client: writes a request, reads the head of its response, decodes the body. One exchange at a time.
// The request is sent whole before the response is read, or by a task of its own meanwhile (ClientRequest::uploads), which shares the link.

#include <memory>

#include "http/body_decoder.h"
#include "http/client.h"
#include "http/head_parser.h"
#include "http/inbox.h"

namespace mayfly::http {

class ClientLink : public std::enable_shared_from_this<ClientLink> {
 public:
  explicit ClientLink(std::unique_ptr<io::Stream> stream) : stream_(std::move(stream)) {}
  ~ClientLink() { close(); }

  struct Head {
    int status;
    Headers headers;
    std::unique_ptr<io::Stream> tunnel{};  // after 101; the link is of no further use
  };
  // `host` is what the Host field says when the request has none.
  io::Task<std::expected<Head, ClientError>> exchange(ClientRequest& request, const std::string& host, io::Deadline deadline);
  io::Task<std::expected<std::optional<std::string>, BodyError>> read_body(io::Deadline deadline);

  void close() {
    if (stream_) stream_->close();
  }
  bool heard() const { return heard_; }        // a byte of the current response has arrived
  bool reusable() const { return stream_ && decoder_.complete() && keep_alive_ && inbox_.empty() && !uploading_; }
  bool peer_gone() const { return stream_->peer_gone(); }
  bool arrived() const { return decoder_.remaining().value_or(UINT64_MAX) <= inbox_.bytes().size(); }
  std::optional<uint64_t> declared_size() const { return declared_; }
  bool complete() const { return decoder_.complete(); }

 private:
  io::Task<std::expected<void, ClientError>> write(ClientRequest& request, const std::string& host, io::Deadline deadline);
  io::Task<std::expected<void, ClientError>> write_stream(Body& body, io::Deadline deadline);
  static io::Task<void> upload(std::shared_ptr<ClientLink> self, std::unique_ptr<Body> body, io::Deadline deadline);
  io::Task<std::expected<Head, ClientError>> read_head(bool head_only, bool upgrade, io::Deadline deadline);
  void begin_body(bool head_only);

  std::unique_ptr<io::Stream> stream_;
  Inbox inbox_;
  HeadScan scan_{{.start_line_bytes = 16 * 1024, .header_bytes = 256 * 1024, .header_count = 1000}};  // of a function's answer: generous
  HeadParser parser_{HeadParser::Kind::response};
  BodyDecoder decoder_;
  std::optional<uint64_t> declared_;
  bool heard_ = false;
  bool keep_alive_ = false;
  bool uploading_ = false;
  std::optional<BodyError> body_failure_;  // of the request's stream
};

}  // namespace mayfly::http
