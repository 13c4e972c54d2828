#pragma once
// HeadWriter: the heads Mayfly sends. It alone decides framing: Content-Length, Transfer-Encoding, Connection and Keep-Alive of a handler
// are dropped and written anew. Nothing a handler puts into a field can end the line: CR, LF and NUL become spaces, a field whose name is
// no token is left out. Date comes from the clock once per second; Server says "mayfly" unless a dialect plays another.

#include <string>

#include "base/clock.h"
#include "http/message.h"

namespace mayfly::http {

struct Framing {
  enum class Kind {
    none,       // no body and no length: 204, 304, HEAD of unknown length
    sized,      // Content-Length
    chunked,
    until_eof,  // HTTP/1.0 and unknown length: the end of the connection is the end of the body
  };
  Kind kind = Kind::none;
  uint64_t length = 0;
};

enum class Persist {
  by_default,  // HTTP/1.1 keeps the connection without a word
  spelled,     // "Connection: keep-alive", for HTTP/1.0
  close,
  upgrade,     // "Connection: Upgrade", after which the connection is a tunnel
};

class HeadWriter {
 public:
  explicit HeadWriter(const Clock& clock) : clock_(clock) {}
  // Appends the status line, the fields and the empty line to `out`.
  void write(std::string& out, const Response& response, Framing framing, Persist persist);

 private:
  void write_date(std::string& out);

  const Clock& clock_;
  int64_t date_second_ = -1;
  std::string date_line_;
};

// Appends "name: value\r\n" made safe; nothing when the name is no token.
void append_field(std::string& out, std::string_view name, std::string_view value);
bool is_framing_field(std::string_view name);

}  // namespace mayfly::http
