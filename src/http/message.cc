#include "http/message.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::http {

void Headers::add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }

void Headers::set(std::string name, std::string value) {
  for (auto field = fields_.begin(); field != fields_.end(); ++field) {
    if (!equals_ignore_case(field->first, name)) continue;
    fields_.erase(std::remove_if(field + 1, fields_.end(), [&](const auto& other) { return equals_ignore_case(other.first, name); }), fields_.end());
    *field = {std::move(name), std::move(value)};
    return;
  }
  add(std::move(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return equals_ignore_case(field.first, name); });
}

const std::string* Headers::find(std::string_view name) const {
  for (const auto& [field, value] : fields_)
    if (equals_ignore_case(field, name)) return &value;
  return nullptr;
}

std::string Headers::get(std::string_view name, std::string_view fallback) const {
  const std::string* value = find(name);
  return value != nullptr ? *value : std::string(fallback);
}

io::Task<std::expected<std::string, BodyError>> Body::read_all(size_t limit) {
  if (auto declared = declared_size(); declared && *declared > limit) co_return std::unexpected(BodyError::too_large);
  std::string all;
  while (true) {
    auto piece = co_await next();
    if (!piece) co_return std::unexpected(piece.error());
    if (!*piece) co_return all;
    if ((*piece)->size() > limit - all.size()) co_return std::unexpected(BodyError::too_large);
    if (all.empty()) {
      all = std::move(**piece);
    } else {
      all += **piece;
    }
    if (declared_size() == all.size()) co_return all;
  }
}

namespace {

class BytesBody final : public Body {
 public:
  explicit BytesBody(std::string bytes) : size_(bytes.size()), bytes_(std::move(bytes)) {}
  io::Task<std::expected<std::optional<std::string>, BodyError>> next() override {
    if (bytes_.empty()) co_return std::nullopt;
    co_return std::exchange(bytes_, {});
  }
  std::optional<uint64_t> declared_size() const override { return size_; }

 private:
  uint64_t size_;
  std::string bytes_;
};

struct Phrase {
  int status;
  std::string_view text;
};
// RFC 9110 section 15 and the few later ones the dialects use; sorted by status.
constexpr std::array kPhrases = {
    Phrase{100, "Continue"}, Phrase{101, "Switching Protocols"}, Phrase{200, "OK"}, Phrase{201, "Created"}, Phrase{202, "Accepted"},
    Phrase{203, "Non-Authoritative Information"}, Phrase{204, "No Content"}, Phrase{205, "Reset Content"}, Phrase{206, "Partial Content"},
    Phrase{300, "Multiple Choices"}, Phrase{301, "Moved Permanently"}, Phrase{302, "Found"}, Phrase{303, "See Other"},
    Phrase{304, "Not Modified"}, Phrase{307, "Temporary Redirect"}, Phrase{308, "Permanent Redirect"}, Phrase{400, "Bad Request"},
    Phrase{401, "Unauthorized"}, Phrase{402, "Payment Required"}, Phrase{403, "Forbidden"}, Phrase{404, "Not Found"},
    Phrase{405, "Method Not Allowed"}, Phrase{406, "Not Acceptable"}, Phrase{408, "Request Timeout"}, Phrase{409, "Conflict"},
    Phrase{410, "Gone"}, Phrase{411, "Length Required"}, Phrase{412, "Precondition Failed"}, Phrase{413, "Content Too Large"},
    Phrase{414, "URI Too Long"}, Phrase{415, "Unsupported Media Type"}, Phrase{416, "Range Not Satisfiable"},
    Phrase{417, "Expectation Failed"}, Phrase{421, "Misdirected Request"}, Phrase{422, "Unprocessable Content"}, Phrase{423, "Locked"},
    Phrase{424, "Failed Dependency"}, Phrase{426, "Upgrade Required"}, Phrase{428, "Precondition Required"},
    Phrase{429, "Too Many Requests"}, Phrase{431, "Request Header Fields Too Large"}, Phrase{500, "Internal Server Error"},
    Phrase{501, "Not Implemented"}, Phrase{502, "Bad Gateway"}, Phrase{503, "Service Unavailable"}, Phrase{504, "Gateway Timeout"},
    Phrase{505, "HTTP Version Not Supported"}, Phrase{507, "Insufficient Storage"},
};

}  // namespace

std::unique_ptr<Body> make_body(std::string bytes) { return std::make_unique<BytesBody>(std::move(bytes)); }

Query parse_query(std::string_view raw) {
  Query query;
  while (!raw.empty()) {
    size_t end = std::min(raw.find('&'), raw.size());
    std::string_view pair = raw.substr(0, end);
    raw.remove_prefix(std::min(end + 1, raw.size()));
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    std::string_view value = equals < pair.size() ? pair.substr(equals + 1) : std::string_view();
    query.emplace_back(percent_decode(pair.substr(0, equals), Plus::is_space), percent_decode(value, Plus::is_space));
  }
  return query;
}

const std::string* find(const Query& query, std::string_view name) {
  for (const auto& [key, value] : query)
    if (key == name) return &value;
  return nullptr;
}

std::string_view reason_phrase(int status) {
  auto found = std::lower_bound(kPhrases.begin(), kPhrases.end(), status, [](const Phrase& phrase, int wanted) { return phrase.status < wanted; });
  return found != kPhrases.end() && found->status == status ? found->text : "Unknown";
}

}  // namespace mayfly::http
