#pragma once
// HTTP messages as the rest of Mayfly sees them. Targets stay raw: a percent-encoded slash is not a separator, so each dialect splits
// the raw path first and decodes its parts once (aliyun-oss.md section 1.1).

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/stream.h"
#include "io/task.h"

namespace mayfly::http {

// Header fields in order; names compare without case and keep the case they came with.
class Headers {
 public:
  void add(std::string name, std::string value);
  void set(std::string name, std::string value);  // replaces every field of that name
  void remove(std::string_view name);
  void reserve(size_t count) { fields_.reserve(count); }
  const std::string* find(std::string_view name) const;  // the first one
  std::string get(std::string_view name, std::string_view fallback = {}) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

enum class BodyError { too_large, timed_out, disconnected, malformed };

// A body, read once, piece by piece.
class Body {
 public:
  virtual ~Body() = default;
  // The next piece, never empty; nullopt at the end.
  virtual io::Task<std::expected<std::optional<std::string>, BodyError>> next() = 0;
  // Everything that is left, refused once it exceeds `limit` bytes.
  io::Task<std::expected<std::string, BodyError>> read_all(size_t limit);
  virtual std::optional<uint64_t> declared_size() const = 0;  // Content-Length, if sent
  // Nobody wants the rest: a next() that waits ends soon, as disconnected. For who cannot drop the body because it waits.
  virtual void abandon() {}
  // What was sent behind a chunked body; known after its end.
  virtual Headers trailers() const { return {}; }
  // Of a request: whether its client is known to have gone while its answer is awaited (a long poll that nobody waits for any more).
  virtual bool client_gone() const { return false; }
};
std::unique_ptr<Body> make_body(std::string bytes);  // a body that is already here

using Query = std::vector<std::pair<std::string, std::string>>;  // decoded, in order
// Splits "a=1&b" and decodes both sides; '+' is a space (aliyun-oss.md section 1.1). Serves forms too.
Query parse_query(std::string_view raw);
const std::string* find(const Query& query, std::string_view name);

struct Request {
  std::string method;      // as sent: "GET"
  std::string scheme;      // "http" or "https"
  std::string host;        // Host header or the authority of an absolute-form target; as sent, may be empty
  std::string raw_path;    // begins with '/', still percent-encoded; the target "*" of OPTIONS arrives as "/"
  std::string raw_query;   // without '?'
  Headers headers;
  std::string peer;        // "127.0.0.1:5000"
  // Which function's sandbox the request came out of (the door, DESIGN 4.10); empty for everybody else.
  std::string door;
  std::unique_ptr<Body> body;  // never null

  Query query() const { return parse_query(raw_query); }
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;                     // sent with Content-Length, unless `stream` is set
  std::unique_ptr<Body> stream;         // if set, the body: Content-Length when declared_size() is known, else chunked
  std::optional<uint64_t> head_length;  // for HEAD: the Content-Length to announce without sending a body
  std::unique_ptr<io::Stream> tunnel;   // with status 101 only: what the connection is joined to after the head; Upgrade is among `headers`
};

std::string_view reason_phrase(int status);

}  // namespace mayfly::http
