#include "objects/body.h"

#include "base/encoding.h"
#include "base/hash.h"

namespace mayfly::objects {
namespace {

class PartsBody final : public http::Body {
 public:
  PartsBody(Ground ground, io::Loop& loop, std::vector<Part> parts, Span span)
      : ground_(ground), loop_(loop), parts_(std::move(parts)), skip_(span.offset), left_(span.length), length_(span.length) {}

  // Reads the first piece ahead of next().
  io::Task<Opening> prime() {
    if (left_ == 0) co_return Opening::ready;
    std::expected<std::string, Opening> piece = co_await read_piece();
    if (!piece) co_return piece.error();
    first_ = std::move(*piece);
    co_return Opening::ready;
  }

  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    if (!first_.empty()) co_return std::exchange(first_, {});
    if (left_ == 0) co_return std::nullopt;
    std::expected<std::string, Opening> piece = co_await read_piece();
    if (!piece) co_return std::unexpected(http::BodyError::malformed);
    co_return std::move(*piece);
  }

  std::optional<uint64_t> declared_size() const override { return length_; }

 private:
  // left_ > 0.
  io::Task<std::expected<std::string, Opening>> read_piece() {
    while (index_ < parts_.size() && skip_ >= parts_[index_].size) {
      skip_ -= parts_[index_++].size;
      reader_.reset();
    }
    if (index_ == parts_.size()) co_return std::unexpected(Opening::corrupt);
    const Part& part = parts_[index_];
    uint64_t want = std::min<uint64_t>({left_, part.size - skip_, kReadBytes});
    std::expected<std::string, Opening> piece = part.kind == Part::Kind::inline_row ? co_await read_inline(part.id, want) : co_await read_blob(part, want);
    if (!piece) co_return piece;
    if (piece->size() != want) co_return std::unexpected(Opening::corrupt);
    skip_ += want;
    left_ -= want;
    co_return piece;
  }

  io::Task<std::expected<std::string, Opening>> read_inline(std::string id, uint64_t want) {
    std::optional<std::string> row = co_await ground_.store.get(loop_, inline_key(id));
    if (!row) co_return std::unexpected(Opening::missing);
    std::optional<std::string> bytes = decode_inline(*row);
    if (!bytes || bytes->size() < skip_ + want) co_return std::unexpected(Opening::corrupt);
    co_return bytes->substr(skip_, want);
  }

  io::Task<std::expected<std::string, Opening>> read_blob(Part part, uint64_t want) {
    if (!reader_) {
      auto opened = co_await ground_.blobs.open(loop_, part.id);
      if (!opened) co_return std::unexpected(opened.error() == store::BlobError::missing ? Opening::missing : Opening::corrupt);
      reader_ = std::move(*opened);
      if (reader_->size() != part.size) co_return std::unexpected(Opening::corrupt);
    }
    auto bytes = co_await reader_->read(skip_, want);
    if (!bytes) co_return std::unexpected(Opening::corrupt);
    co_return std::move(*bytes);
  }

  Ground ground_;
  io::Loop& loop_;
  std::vector<Part> parts_;
  size_t index_ = 0;
  uint64_t skip_;  // into parts_[index_]
  uint64_t left_;
  uint64_t length_;
  std::unique_ptr<store::BlobReader> reader_;  // of parts_[index_], when it is a blob that has been opened
  std::string first_;
};

}  // namespace

io::Task<Result<Received>> receive(Ground ground, io::Loop& loop, std::unique_ptr<http::Body> body, uint64_t limit_bytes, std::string content_md5,
                                   uint64_t crc_seed) {
  if (body->declared_size().value_or(0) > limit_bytes) co_return fail(ObjectsError::too_large, "The body is larger than the allowed maximum.");
  std::optional<std::string> wanted_md5;
  if (!content_md5.empty()) {
    wanted_md5 = base64_decode(content_md5);
    if (!wanted_md5 || wanted_md5->size() != 16) co_return fail(ObjectsError::bad_digest, "The Content-MD5 you specified is not valid.");
  }
  if (ground.blobs.free_bytes() < ground.free_floor_bytes) {
    co_return fail(ObjectsError::disk_full, "The disk is nearly full; no new bytes are accepted.", "Delete objects or add space.");
  }
  Received received{.crc64 = crc_seed};
  Digest digest(Digest::Kind::md5);
  std::string pending;  // an inline body so far, or what the blob's next append will carry
  std::unique_ptr<store::BlobWriter> writer;
  for (;;) {
    auto piece = co_await body->next();
    if (!piece && piece.error() == http::BodyError::too_large) co_return fail(ObjectsError::too_large, "The body is larger than the allowed maximum.");
    if (!piece) co_return fail(ObjectsError::body_failed, "The body ended before it was complete.");
    if (!*piece) break;
    received.size += (*piece)->size();
    if (received.size > limit_bytes) co_return fail(ObjectsError::too_large, "The body is larger than the allowed maximum.");
    digest.update(**piece);
    received.crc64 = crc64(**piece, received.crc64);
    pending += **piece;
    if (received.size > store::kInlineBytes && !writer) writer = ground.blobs.create(loop);
    if (writer && pending.size() >= kReadBytes) co_await writer->append(std::exchange(pending, {}));
  }
  received.md5 = digest.finish();
  if (wanted_md5 && *wanted_md5 != received.md5) {
    co_return fail(ObjectsError::bad_digest, "The Content-MD5 you specified did not match what we received.");
  }
  if (writer) {
    if (!pending.empty()) co_await writer->append(std::move(pending));
    received.part = Part{Part::Kind::blob, co_await writer->finish(), received.size};
  } else if (received.size > 0) {
    received.part = Part{Part::Kind::inline_row, new_part_id(ground.clock, ground.rng), received.size};
    received.inline_bytes = std::move(pending);
  }
  co_return received;
}

io::Task<void> discard(Ground ground, io::Loop& loop, Received received) {
  if (received.part && received.part->kind == Part::Kind::blob) co_await ground.blobs.remove(loop, received.part->id);
}

io::Task<std::optional<std::vector<Part>>> load_parts(Ground ground, io::Loop& loop, StoredObject object) {
  if (object.manifest.empty()) co_return std::move(object.parts);
  std::optional<std::string> row = co_await ground.store.get(loop, manifest_key(object.manifest));
  if (!row) co_return std::nullopt;
  co_return decode_parts(*row);
}

io::Task<OpenedBody> open_parts(Ground ground, io::Loop& loop, std::vector<Part> parts, Span span) {
  auto body = std::make_unique<PartsBody>(ground, loop, std::move(parts), span);
  Opening outcome = co_await body->prime();
  co_return OpenedBody{outcome, std::move(body)};
}

uint64_t combine_crc64(uint64_t a, uint64_t b, uint64_t b_size) {
  // Appending b's bytes multiplies a's remainder by x^(8 * b_size); the final xors of the two cancel. Matrices over GF(2), squared per bit
  // of the length.
  using Matrix = std::array<uint64_t, 64>;
  constexpr uint64_t kReflectedPolynomial = 0xC96C5795D7870F42;
  auto times = [](const Matrix& matrix, uint64_t vector) {
    uint64_t sum = 0;
    for (size_t i = 0; vector != 0; ++i, vector >>= 1) {
      if (vector & 1) sum ^= matrix[i];
    }
    return sum;
  };
  auto square = [&](const Matrix& matrix) {
    Matrix out;
    for (size_t i = 0; i < 64; ++i) out[i] = times(matrix, matrix[i]);
    return out;
  };
  Matrix shift;  // by one zero bit
  shift[0] = kReflectedPolynomial;
  for (size_t i = 1; i < 64; ++i) shift[i] = uint64_t{1} << (i - 1);
  for (int i = 0; i < 3; ++i) shift = square(shift);  // by one zero byte
  for (; b_size != 0; b_size >>= 1) {
    if (b_size & 1) a = times(shift, a);
    shift = square(shift);
  }
  return a ^ b;
}

std::string upper_hex(std::string_view bytes) {
  std::string out = hex_encode(bytes);
  for (char& c : out) {
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

}  // namespace mayfly::objects
