#pragma once
// HeadScan: finds where the head of a message ends in bytes that arrive piecemeal, and holds the size limits on the way, so that a
// head is parsed once, whole, from contiguous memory.
//
// It is also the strict half of the parser. llhttp as Debian builds it (loose mode) forgives line ends that two servers in a row may
// understand differently, which is what request smuggling is made of. Here every line ends with CR LF, no CR or LF stands elsewhere,
// and no line continues the one before (obs-fold): RFC 9112 sections 2.2 and 5.2 let a server refuse all three.

#include <cstddef>
#include <string_view>

namespace mayfly::http {

// Why a message is refused: the status to answer and a sentence for its body.
struct Refusal {
  int status;
  std::string_view text;
};

struct HeadLimits {
  size_t start_line_bytes;
  size_t header_bytes;  // all fields together, without their line ends
  size_t header_count;
};

class HeadScan {
 public:
  explicit HeadScan(HeadLimits limits) : limits_(limits) {}

  enum class Outcome { more, complete, refused };
  // `bytes` is everything of this message so far: each call's text begins with the text of the call before.
  Outcome scan(std::string_view bytes);
  size_t size() const { return line_start_; }  // of the head with its empty line, once complete
  const Refusal& refusal() const { return refusal_; }
  void reset() { *this = HeadScan(limits_); }

 private:
  Outcome end_line(std::string_view line);
  Outcome refuse(int status, std::string_view text);

  HeadLimits limits_;
  Refusal refusal_{};
  size_t scanned_ = 0;
  size_t line_start_ = 0;
  size_t blank_lines_ = 0;
  size_t fields_ = 0;
  size_t field_bytes_ = 0;
  bool started_ = false;  // the start line has been seen
};

}  // namespace mayfly::http
