#include "http/head_parser.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"

namespace mayfly::http {

// The head is contiguous, so each of llhttp's spans that continues an earlier one just extends the view.
struct HeadParser::Callbacks {
  static HeadParser& self(llhttp_t* parser) { return *static_cast<HeadParser*>(parser->data); }
  static void extend(std::string_view& view, const char* at, size_t size) {
    view = view.empty() ? std::string_view(at, size) : std::string_view(view.data(), static_cast<size_t>(at + size - view.data()));
  }
  static int on_url(llhttp_t* parser, const char* at, size_t size) { return extend(self(parser).target_, at, size), 0; }
  static int on_field(llhttp_t* parser, const char* at, size_t size) { return extend(self(parser).name_, at, size), 0; }
  static int on_value(llhttp_t* parser, const char* at, size_t size) { return extend(self(parser).value_, at, size), 0; }
  static int on_value_complete(llhttp_t* parser) {
    self(parser).headers_.add(std::string(self(parser).name_), std::string(trim(self(parser).value_)));
    self(parser).name_ = self(parser).value_ = {};
    return 0;
  }
  static int on_headers_complete(llhttp_t* parser) {
    self(parser).keep_alive_ = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
  }
  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t kSettings = [] {
      llhttp_settings_t settings;
      llhttp_settings_init(&settings);
      settings.on_url = on_url;
      settings.on_header_field = on_field;
      settings.on_header_value = on_value;
      settings.on_header_value_complete = on_value_complete;
      settings.on_headers_complete = on_headers_complete;
      return settings;
    }();
    return kSettings;
  }
};

HeadParser::HeadParser(Kind kind) {
  llhttp_init(&parser_, kind == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, &Callbacks::settings());
  parser_.data = this;
}

std::string_view HeadParser::method() const { return llhttp_method_name(static_cast<llhttp_method_t>(parser_.method)); }

std::expected<void, Refusal> HeadParser::parse(std::string_view head) {
  llhttp_reset(&parser_);
  target_ = name_ = value_ = {};
  headers_ = {};
  constexpr size_t kUsualFields = 8;
  headers_.reserve(kUsualFields);
  content_length_.reset();
  length_fields_ = coding_fields_ = 0;
  chunked_ = keep_alive_ = false;
  if (llhttp_execute(&parser_, head.data(), head.size()) != HPE_PAUSED) return explain(head);
  if (parser_.http_major != 1 || parser_.http_minor > 1) return std::unexpected(Refusal{505, "only HTTP/1.0 and HTTP/1.1 are spoken here"});
  return check_framing();
}

std::expected<void, Refusal> HeadParser::explain(std::string_view head) const {
  switch (llhttp_get_errno(&parser_)) {
    case HPE_INVALID_METHOD: {
      std::string_view line = head.substr(head.find_first_not_of("\r\n"));
      bool plausible = is_token(line.substr(0, line.find(' ')));
      return std::unexpected(plausible ? Refusal{501, "the method is not known"} : Refusal{400, "the method is malformed"});
    }
    case HPE_INVALID_VERSION: return std::unexpected(Refusal{505, "the HTTP version is not supported"});
    case HPE_INVALID_URL: return std::unexpected(Refusal{400, "the request target is malformed"});
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH: return std::unexpected(Refusal{400, "Content-Length is malformed, repeated or contradicted"});
    case HPE_INVALID_TRANSFER_ENCODING: return std::unexpected(Refusal{400, "Transfer-Encoding is malformed"});
    case HPE_INVALID_HEADER_TOKEN: return std::unexpected(Refusal{400, "a header field is malformed"});
    default: return std::unexpected(Refusal{400, "the message is malformed"});
  }
}

std::expected<void, Refusal> HeadParser::check_framing() {
  for (const auto& [name, value] : headers_) {
    if (!is_token(name)) return std::unexpected(Refusal{400, "a header field's name is malformed"});
    bool control = false;  // without an early end the compiler looks at many bytes at a time
    for (unsigned char c : value) control |= ((c < ' ') & (c != '\t')) | (c == 0x7f);
    if (control) return std::unexpected(Refusal{400, "a header field holds a control character"});
    if (name.size() == 14 && equals_ignore_case(name, "Content-Length")) {
      uint64_t length = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (value.empty() || error != std::errc() || end != value.data() + value.size()) return std::unexpected(Refusal{400, "Content-Length is malformed"});
      content_length_ = length;
      ++length_fields_;
    } else if (name.size() == 17 && equals_ignore_case(name, "Transfer-Encoding")) {
      if (!equals_ignore_case(value, "chunked")) return std::unexpected(Refusal{501, "the only transfer coding known is chunked"});
      chunked_ = true;
      ++coding_fields_;
    }
  }
  if (length_fields_ > 1) return std::unexpected(Refusal{400, "Content-Length is repeated"});
  if (coding_fields_ > 1) return std::unexpected(Refusal{400, "Transfer-Encoding is repeated"});
  if (chunked_ && content_length_) return std::unexpected(Refusal{400, "Content-Length stands beside Transfer-Encoding"});
  if (chunked_ && is_http_1_0()) return std::unexpected(Refusal{400, "HTTP/1.0 has no Transfer-Encoding"});
  return {};
}

namespace {

// Letters, digits and `others`: a set of bytes to test one by one.
constexpr std::array<bool, 256> alphanumeric_and(std::string_view others) {
  std::array<bool, 256> set{};
  for (unsigned char c = '0'; c <= '9'; ++c) set[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) set[c] = set[c + ('a' - 'A')] = true;
  for (unsigned char c : others) set[c] = true;
  return set;
}
bool all_in(const std::array<bool, 256>& set, std::string_view text) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) { return set[c]; });
}

constexpr auto kTokenBytes = alphanumeric_and("!#$%&'*+-.^_`|~");
// Host, port and IPv6 brackets; whatever else stands in an authority (user names, spaces, slashes) is somebody's trick.
constexpr auto kAuthorityBytes = alphanumeric_and("-._~:[]%");

bool is_authority(std::string_view text) { return all_in(kAuthorityBytes, text); }

}  // namespace

Headers parse_fields(std::string_view lines) {
  Headers fields;
  while (!lines.empty()) {
    std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(lines.size(), line.size() + 2));
    size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) continue;
    fields.add(std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
  }
  return fields;
}

bool is_token(std::string_view text) { return !text.empty() && all_in(kTokenBytes, text); }

namespace {

std::expected<void, Refusal> resolve_host(const HeadParser& parser, Request& request) {
  size_t hosts = 0;
  for (const auto& [name, value] : request.headers) {
    if (name.size() != 4 || !equals_ignore_case(name, "Host")) continue;
    if (++hosts > 1) return std::unexpected(Refusal{400, "Host is repeated"});
    request.host = value;
  }
  if (hosts == 0 && !parser.is_http_1_0()) return std::unexpected(Refusal{400, "HTTP/1.1 needs a Host"});
  if (!is_authority(request.host)) return std::unexpected(Refusal{400, "Host is malformed"});
  return {};
}

// Cuts "http://host:port" off an absolute-form target; the host it names wins over Host (RFC 9112 section 3.2.2).
std::expected<std::string_view, Refusal> take_authority(std::string_view target, Request& request) {
  size_t colon = target.find("://");
  if (colon == std::string_view::npos || !(equals_ignore_case(target.substr(0, colon), "http") || equals_ignore_case(target.substr(0, colon), "https")))
    return std::unexpected(Refusal{400, "the request target is neither a path nor an http URL"});
  target.remove_prefix(colon + 3);
  std::string_view authority = target.substr(0, target.find_first_of("/?"));
  if (authority.empty() || !is_authority(authority)) return std::unexpected(Refusal{400, "the request target's host is malformed"});
  request.host = authority;
  return target.substr(authority.size());
}

}  // namespace

std::expected<void, Refusal> make_request(HeadParser& parser, Request& request) {
  request.method = parser.method();
  if (request.method == "CONNECT") return std::unexpected(Refusal{405, "this server is not a proxy"});
  request.headers = std::move(parser.headers());
  if (auto host = resolve_host(parser, request); !host) return host;

  std::string_view target = parser.target();
  for (unsigned char c : target)
    if (c <= ' ' || c == 0x7f || c == '#') return std::unexpected(Refusal{400, "the request target holds a forbidden character"});
  if (target == "*" && request.method == "OPTIONS") target = "/";
  if (!target.starts_with('/')) {
    auto rest = take_authority(target, request);
    if (!rest) return std::unexpected(rest.error());
    target = *rest;
  }
  size_t question = std::min(target.find('?'), target.size());
  request.raw_path = question == 0 ? "/" : target.substr(0, question);
  if (question < target.size()) request.raw_query = target.substr(question + 1);
  return {};
}

}  // namespace mayfly::http
