#include "http/head_writer.h"

#include "base/encoding.h"
#include "http/head_parser.h"

namespace mayfly::http {

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (!is_token(name)) return;
  out += name;
  out += ": ";
  size_t start = out.size();
  out += value;
  bool breaks = false;  // without an early end the compiler looks at many bytes at a time
  for (char c : value) breaks |= (c == '\r') | (c == '\n') | (c == '\0');
  for (size_t i = start; breaks && i < out.size(); ++i)
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  out += "\r\n";
}

bool is_framing_field(std::string_view name) {
  switch (name.size()) {
    case 10: return equals_ignore_case(name, "Connection") || equals_ignore_case(name, "Keep-Alive");
    case 14: return equals_ignore_case(name, "Content-Length");
    case 17: return equals_ignore_case(name, "Transfer-Encoding");
    default: return false;
  }
}

void HeadWriter::write_date(std::string& out) {
  int64_t now_us = clock_.wall_us();
  if (now_us / kMicrosPerSecond != date_second_) {
    date_second_ = now_us / kMicrosPerSecond;
    date_line_ = "Date: " + http_date(now_us) + "\r\n";
  }
  out += date_line_;
}

void HeadWriter::write(std::string& out, const Response& response, Framing framing, Persist persist) {
  if (response.status == 200) {
    out += "HTTP/1.1 200 OK\r\n";
  } else {
    out += "HTTP/1.1 ";
    append_number(out, static_cast<uint64_t>(response.status));
    out += ' ';
    out += reason_phrase(response.status);
    out += "\r\n";
  }
  bool has_date = false, has_server = false;
  for (const auto& [name, value] : response.headers) {
    if (is_framing_field(name)) continue;
    if (name.size() == 4 && equals_ignore_case(name, "Date")) has_date = true;
    if (name.size() == 6 && equals_ignore_case(name, "Server")) has_server = true;
    append_field(out, name, value);
  }
  if (!has_server) out += "Server: mayfly\r\n";
  if (!has_date) write_date(out);
  if (framing.kind == Framing::Kind::sized) {
    out += "Content-Length: ";
    append_number(out, framing.length);
    out += "\r\n";
  } else if (framing.kind == Framing::Kind::chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  }
  if (persist == Persist::close) out += "Connection: close\r\n";
  if (persist == Persist::upgrade) out += "Connection: Upgrade\r\n";
  if (persist == Persist::spelled) out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

}  // namespace mayfly::http
