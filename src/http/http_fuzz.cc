// Bytes of a stranger, without sockets: head scan, llhttp, request target and framing, then the body, in steps the input chooses.
// Checks that what was accepted keeps the promises the dialects rely on.
#include "http/body_decoder.h"
#include "http/head_parser.h"

using namespace mayfly::http;

namespace {

void decode_body(const HeadParser& parser, std::string_view rest, size_t step) {
  BodyDecoder decoder;
  if (parser.chunked()) {
    decoder.start_chunked();
  } else {
    decoder.start_sized(parser.content_length().value_or(0));
  }
  while (!rest.empty() && !decoder.complete()) {
    std::string piece(rest.substr(0, step));
    auto decoded = decoder.decode(piece);
    if (!decoded) return;
    MAYFLY_CHECK_OP(decoded->size, <=, decoded->consumed);
    MAYFLY_CHECK(decoded->consumed == piece.size() || decoder.complete());
    rest.remove_prefix(decoded->consumed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t step = 1 + data[0];
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  HeadScan scan({.start_line_bytes = 4096, .header_bytes = 4096, .header_count = 64});
  HeadScan::Outcome outcome = HeadScan::Outcome::more;
  for (size_t seen = 0; outcome == HeadScan::Outcome::more && seen < bytes.size();) {
    seen = std::min(bytes.size(), seen + step);
    outcome = scan.scan(bytes.substr(0, seen));
  }
  if (outcome != HeadScan::Outcome::complete) return 0;
  for (auto kind : {HeadParser::Kind::request, HeadParser::Kind::response}) {
    HeadParser parser(kind);
    if (!parser.parse(bytes.substr(0, scan.size()))) continue;
    MAYFLY_CHECK(!(parser.chunked() && parser.content_length()));
    decode_body(parser, bytes.substr(scan.size()), step);
    if (kind == HeadParser::Kind::response) continue;
    Request request;
    if (!make_request(parser, request)) continue;
    MAYFLY_CHECK(request.raw_path.starts_with('/'));
    MAYFLY_CHECK(request.raw_path.find_first_of("?# \r\n") == std::string::npos);
    for (const auto& [name, value] : request.headers) MAYFLY_CHECK(is_token(name) && value.find_first_of("\r\n") == std::string::npos);
  }
  return 0;
}
