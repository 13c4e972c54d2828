#pragma once
// HeadParser: llhttp over one complete head (head_scan.h). What follows the head is decided here from its fields, strictly: a message
// whose length two readers could see differently is refused (RFC 9112 section 6.3): several Content-Length, one beside
// Transfer-Encoding, any coding but chunked. The body itself is body_decoder.h's.

#include <llhttp.h>

#include <expected>
#include <optional>

#include "http/head_scan.h"
#include "http/message.h"

namespace mayfly::http {

class HeadParser {
 public:
  enum class Kind { request, response };
  explicit HeadParser(Kind kind);
  HeadParser(const HeadParser&) = delete;

  // Parses `head`, which ends with its empty line, replacing what was parsed before.
  std::expected<void, Refusal> parse(std::string_view head);

  std::string_view method() const;  // of a request
  std::string_view target() const { return target_; }  // points into `head`
  int status() const { return parser_.status_code; }
  Headers& headers() { return headers_; }
  bool is_http_1_0() const { return parser_.http_minor == 0; }
  bool keep_alive() const { return keep_alive_; }  // what the sender wants

  bool chunked() const { return chunked_; }
  std::optional<uint64_t> content_length() const { return content_length_; }

 private:
  struct Callbacks;
  std::expected<void, Refusal> explain(std::string_view head) const;
  std::expected<void, Refusal> check_framing();

  llhttp_t parser_;
  std::string_view target_;
  std::string_view name_;
  std::string_view value_;
  Headers headers_;
  std::optional<uint64_t> content_length_;
  size_t length_fields_ = 0;
  size_t coding_fields_ = 0;
  bool chunked_ = false;
  bool keep_alive_ = false;
};

// Fills `request`, all but its body and what the connection knows, from a parsed head; takes the parser's headers. Resolves the target's form: origin, absolute
// (its authority replaces Host) or "*". CONNECT is refused.
std::expected<void, Refusal> make_request(HeadParser& parser, Request& request);

// The fields in lines of "name: value\r\n", as trailers come; a line that is no field is left out.
Headers parse_fields(std::string_view lines);

bool is_token(std::string_view text);  // RFC 9110 section 5.6.2: what a method or a field name is made of

}  // namespace mayfly::http
