#include "http/head_scan.h"

namespace mayfly::http {
namespace {
// RFC 9112 section 2.2 asks to skip one empty line before a request, for old clients; more is somebody playing.
constexpr size_t kMaxBlankLines = 2;
}  // namespace

HeadScan::Outcome HeadScan::refuse(int status, std::string_view text) {
  refusal_ = {status, text};
  return Outcome::refused;
}

HeadScan::Outcome HeadScan::scan(std::string_view bytes) {
  while (true) {
    size_t end = bytes.find('\n', scanned_);
    if (end == std::string_view::npos) break;
    std::string_view line = bytes.substr(line_start_, end - line_start_);
    scanned_ = line_start_ = end + 1;
    if (Outcome outcome = end_line(line); outcome != Outcome::more) return outcome;
  }
  scanned_ = bytes.size();
  size_t partial = bytes.size() - line_start_;
  if (!started_ && partial > limits_.start_line_bytes) return refuse(414, "the request line is too long");
  if (field_bytes_ + partial > limits_.header_bytes && started_) return refuse(431, "the header fields are too large");
  return Outcome::more;
}

HeadScan::Outcome HeadScan::end_line(std::string_view line) {
  size_t carriage_return = line.find('\r');
  if (carriage_return == std::string_view::npos || carriage_return + 1 != line.size()) return refuse(400, "a line does not end with CR LF");
  line.remove_suffix(1);
  if (!started_) {
    if (line.empty()) return ++blank_lines_ > kMaxBlankLines ? refuse(400, "empty lines before the request") : Outcome::more;
    if (line.size() > limits_.start_line_bytes) return refuse(414, "the request line is too long");
    started_ = true;
    return Outcome::more;
  }
  if (line.empty()) return Outcome::complete;
  if (line[0] == ' ' || line[0] == '\t') return refuse(400, "a header field is folded over two lines");
  field_bytes_ += line.size();
  if (field_bytes_ > limits_.header_bytes) return refuse(431, "the header fields are too large");
  if (++fields_ > limits_.header_count) return refuse(431, "too many header fields");
  return Outcome::more;
}

}  // namespace mayfly::http
