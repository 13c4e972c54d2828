#pragma once
// Reply: what a handler answers. Text, JSON or bytes; for HTTP functions also a status and headers; or a stream, whose pieces go to the
// caller as they are written.
//
//   return "hello";
//   return mayfly::Reply("no such photo\n").status(404);
//   return mayfly::Reply::bytes(jpeg, "image/jpeg").header("Cache-Control", "max-age=60");
//   return mayfly::Reply::stream([=](mayfly::Writer& out) { for (auto& row : rows) out.write(row); }).type("text/csv");
//
// Status and headers reach the caller of an HTTP function; of an event function only the body does.

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mayfly/json.h"

namespace mayfly {

// Where the body of a streamed reply is written. Each write is sent at once, and waits while the caller takes no more.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(std::string_view piece) = 0;
};

class Reply {
 public:
  using Stream = std::function<void(Writer&)>;
  using Headers = std::vector<std::pair<std::string, std::string>>;

  Reply() = default;  // empty
  Reply(std::string text) : body_(std::move(text)), type_(kText) {}
  Reply(std::string_view text) : Reply(std::string(text)) {}
  Reply(const char* text) : Reply(std::string(text)) {}
  Reply(const Json& value) : body_(value.dump()), type_("application/json") {}

  static Reply bytes(std::string body, std::string type = "application/octet-stream");
  static Reply bytes(std::span<const std::byte> body, std::string type = "application/octet-stream");
  // `body` runs after the handler has returned; what it throws breaks the stream off and is the caller's error as far as one can still be told.
  static Reply stream(Stream body);

  Reply& status(int code) & { return status_ = code, *this; }
  Reply&& status(int code) && { return std::move(status(code)); }
  Reply& type(std::string content_type) & { return type_ = std::move(content_type), *this; }  // empty: no Content-Type
  Reply&& type(std::string content_type) && { return std::move(type(std::move(content_type))); }
  Reply& header(std::string name, std::string value) & { return headers_.emplace_back(std::move(name), std::move(value)), *this; }  // may be said again
  Reply&& header(std::string name, std::string value) && { return std::move(header(std::move(name), std::move(value))); }

  int status() const { return status_; }
  const std::string& body() const { return body_; }
  const std::string& type() const { return type_; }
  const Headers& headers() const { return headers_; }
  const Stream& body_stream() const { return stream_; }

 private:
  static constexpr const char* kText = "text/plain; charset=utf-8";

  int status_ = 200;
  std::string body_;
  std::string type_;
  Headers headers_;
  Stream stream_;  // instead of body_
};

}  // namespace mayfly
