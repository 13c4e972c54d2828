#include "dialects/aliyun/oss_gzip.h"

#include <zlib.h>

#include "base/check.h"
#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

class GzipBody final : public http::Body {
 public:
  explicit GzipBody(std::unique_ptr<http::Body> plain) : plain_(std::move(plain)) {
    constexpr int kGzipWindow = 15 + 16;  // the largest window, with a gzip header
    constexpr int kMemoryLevel = 8;       // zlib's default
    MAYFLY_CHECK(deflateInit2(&state_, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~GzipBody() override { deflateEnd(&state_); }

  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    while (!finished_) {
      auto piece = co_await plain_->next();
      if (!piece) co_return std::unexpected(piece.error());
      finished_ = !*piece;
      std::string out = deflate_piece(finished_ ? std::string_view() : std::string_view(**piece), finished_ ? Z_FINISH : Z_NO_FLUSH);
      if (!out.empty()) co_return out;
    }
    co_return std::nullopt;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  std::string deflate_piece(std::string_view in, int flush) {
    std::string out;
    std::array<char, 64 * 1024> buffer;
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    state_.avail_in = static_cast<uInt>(in.size());
    do {
      state_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      state_.avail_out = static_cast<uInt>(buffer.size());
      int result = deflate(&state_, flush);
      MAYFLY_CHECK(result != Z_STREAM_ERROR);
      out.append(buffer.data(), buffer.size() - state_.avail_out);
    } while (state_.avail_out == 0);
    return out;
  }

  std::unique_ptr<http::Body> plain_;
  z_stream state_{};
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<http::Body> gzip_body(std::unique_ptr<http::Body> plain) { return std::make_unique<GzipBody>(std::move(plain)); }

bool is_compressible(std::string_view content_type, uint64_t size) {
  constexpr uint64_t kLeastBytes = 1024;
  constexpr std::string_view kTypes[] = {"text/cache-manifest",      "text/xml",           "text/plain",         "text/css", "application/javascript",
                                         "application/x-javascript", "application/rss+xml", "application/json", "text/json"};
  std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  return size >= kLeastBytes && std::ranges::any_of(kTypes, [&](std::string_view known) { return equals_ignore_case(known, type); });
}

}  // namespace mayfly::dialects::aliyun
