#include "dialects/aliyun/oss_form_reader.h"

#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

// The value of name="..." in a header's parameters.
std::string parameter(std::string_view header, std::string_view name) {
  for (size_t at = 0; (at = header.find(';', at)) != std::string_view::npos;) {
    std::string_view rest = trim(header.substr(++at));
    size_t equals = rest.find('=');
    if (equals == std::string_view::npos || !equals_ignore_case(trim(rest.substr(0, equals)), name)) continue;
    std::string_view value = trim(rest.substr(equals + 1));
    if (!value.starts_with('"')) return std::string(trim(value.substr(0, value.find(';'))));
    std::string out;
    for (size_t i = 1; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\' && i + 1 < value.size() && (value[i + 1] == '"' || value[i + 1] == '\\')) ++i;
      out += value[i];
    }
    return out;
  }
  return {};
}

FormPart parse_part_headers(std::string_view block) {
  FormPart part;
  while (!block.empty()) {
    size_t end = block.find("\r\n");
    std::string_view line = block.substr(0, end);
    block = end == std::string_view::npos ? std::string_view() : block.substr(end + 2);
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = trim(line.substr(0, colon)), value = trim(line.substr(colon + 1));
    if (equals_ignore_case(name, "Content-Disposition")) {
      part.name = parameter(value, "name");
      part.filename = parameter(value, "filename");
    }
    if (equals_ignore_case(name, "Content-Type")) part.content_type = value;
  }
  return part;
}

}  // namespace

std::optional<std::string> form_boundary(std::string_view content_type) {
  constexpr size_t kMaxBoundary = 200;  // RFC 2046 allows 70
  if (!lower(content_type).starts_with("multipart/form-data")) return std::nullopt;
  std::string boundary = parameter(content_type, "boundary");
  if (boundary.empty() || boundary.size() > kMaxBoundary) return std::nullopt;
  return boundary;
}

io::Task<std::expected<bool, FormError>> FormReader::fill() {
  auto piece = co_await body_->next();
  if (!piece) co_return std::unexpected(piece.error() == http::BodyError::too_large ? FormError::too_large : FormError::body_failed);
  if (!*piece) co_return false;
  buffer_ += **piece;
  co_return true;
}

io::Task<std::expected<std::string, FormError>> FormReader::take_until(std::string mark, size_t limit) {
  size_t searched = 0;
  for (;;) {
    size_t at = buffer_.find(mark, searched);
    if (at != std::string::npos) {
      if (at > limit) co_return std::unexpected(FormError::too_large);
      std::string out = buffer_.substr(0, at);
      buffer_.erase(0, at + mark.size());
      co_return out;
    }
    if (buffer_.size() > limit + mark.size()) co_return std::unexpected(FormError::too_large);
    searched = buffer_.size() < mark.size() ? 0 : buffer_.size() - mark.size() + 1;
    auto more = co_await fill();
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return std::unexpected(FormError::malformed);
  }
}

io::Task<std::expected<std::optional<FormPart>, FormError>> FormReader::next() {
  if (fields_ == 0) {
    auto preamble = co_await take_until(delimiter_, kMaxFormHeaderBytes);
    if (!preamble) co_return std::unexpected(preamble.error());
  }
  while (buffer_.size() < 2) {
    auto more = co_await fill();
    if (!more) co_return std::unexpected(more.error());
    if (!*more) co_return std::unexpected(FormError::malformed);
  }
  if (buffer_.starts_with("--")) co_return std::nullopt;
  if (++fields_ > kMaxFormFields) co_return std::unexpected(FormError::too_large);
  // What is left begins with the line break after the delimiter, so the empty line that ends the headers is found even when there are none.
  auto headers = co_await take_until("\r\n\r\n", kMaxFormHeaderBytes);
  if (!headers) co_return std::unexpected(headers.error());
  FormPart part = parse_part_headers(*headers);
  if (part.name.empty()) co_return std::unexpected(FormError::malformed);
  part.is_file = equals_ignore_case(part.name, "file");
  if (part.is_file) co_return part;
  auto value = co_await take_until(delimiter_, kMaxFormValueBytes);
  if (!value) co_return std::unexpected(value.error());
  bytes_ += value->size();
  if (bytes_ > kMaxFormBytes) co_return std::unexpected(FormError::too_large);
  part.value = std::move(*value);
  co_return part;
}

// The file's bytes: everything up to the next delimiter. A delimiter may lie across pieces, so its length is held back.
class FormFile final : public http::Body {
 public:
  explicit FormFile(FormReader reader) : reader_(std::move(reader)) {}

  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    std::string& buffer = reader_.buffer_;
    const std::string& delimiter = reader_.delimiter_;
    while (!ended_) {
      size_t at = buffer.find(delimiter);
      ended_ = at != std::string::npos;
      size_t ready = ended_ ? at : buffer.size() - std::min(buffer.size(), delimiter.size() - 1);
      if (ready > 0) {
        std::string out = buffer.substr(0, ready);
        buffer.erase(0, ready);
        co_return out;
      }
      if (ended_) break;
      auto more = co_await reader_.fill();
      if (!more) co_return std::unexpected(more.error() == FormError::too_large ? http::BodyError::too_large : http::BodyError::disconnected);
      if (!*more) co_return std::unexpected(http::BodyError::malformed);
    }
    co_return std::nullopt;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  FormReader reader_;
  bool ended_ = false;
};

std::unique_ptr<http::Body> FormReader::file(FormReader reader) { return std::make_unique<FormFile>(std::move(reader)); }

}  // namespace mayfly::dialects::aliyun
