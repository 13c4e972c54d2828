#include "cli/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <pugixml.hpp>

#include "base/encoding.h"
#include "base/hash.h"
#include "cli/object_path.h"
#include "cli/table.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr size_t kPieceBytes = 256 * 1024;
constexpr int64_t kRedrawUs = 100'000;  // ten times a second is smooth and cheap

// A file, piece by piece. Read on the transport's thread while the caller waits.
class FileBody final : public http::Body {
 public:
  FileBody(sys::Fd file, uint64_t size, Progress& progress, uint64_t& crc) : file_(std::move(file)), size_(size), progress_(progress), crc_(crc) {}

  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    std::string piece(kPieceBytes, '\0');
    ssize_t got = read(file_.get(), piece.data(), piece.size());
    if (got < 0) co_return std::unexpected(http::BodyError::disconnected);
    if (got == 0) co_return std::optional<std::string>();
    piece.resize(static_cast<size_t>(got));
    crc_ = crc64(piece, crc_);
    progress_.advance(piece.size());
    co_return std::optional(std::move(piece));
  }
  std::optional<uint64_t> declared_size() const override { return size_; }

 private:
  sys::Fd file_;
  uint64_t size_;
  Progress& progress_;
  uint64_t& crc_;
};

std::unexpected<Failure<Refusal>> damaged(const std::string& bucket, const std::string& key) {
  return fail(Kind::local, fmt::format("mayfly://{}/{} arrived damaged: its checksum differs", bucket, key), "copy it again");
}

std::string text_of(const pugi::xml_node& node, const char* name, bool encoded) {
  std::string text = node.child_value(name);
  return encoded ? percent_decode(text, Plus::is_space) : text;
}

}  // namespace

void Progress::begin(std::string name, uint64_t total) {
  name_ = std::move(name);
  total_ = total;
  done_ = 0;
  drawn_us_ = 0;
  advance(0);
}

void Progress::advance(uint64_t bytes) {
  done_ += bytes;
  int64_t now = SystemClock().mono_us();
  if (!shown_ || now - drawn_us_ < kRedrawUs) return;
  drawn_us_ = now;
  unsigned percent = total_ == 0 ? 100 : static_cast<unsigned>(std::min<uint64_t>(100, done_ * 100 / total_));
  fmt::print(stderr, "\r\033[K{:>3}%  {} of {}  {}", percent, size_text(done_), size_text(total_), name_);
  std::fflush(stderr);
}

void Progress::clear() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

Result<void> upload(ApiClient& client, const std::string& file, const std::string& bucket, const std::string& key, Progress& progress) {
  sys::Fd source(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status;
  if (!source || fstat(source.get(), &status) != 0) return fail(Kind::local, fmt::format("cannot read {}: {}", file, strerror(errno)));
  if (!S_ISREG(status.st_mode)) return fail(Kind::usage, file + " is not a file", "copy a folder with -r");
  auto size = static_cast<uint64_t>(status.st_size);
  progress.begin(file, size);
  uint64_t crc = 0;
  ObjectCall call{.method = "PUT", .bucket = bucket, .key = key};
  call.headers.set("Content-Type", media_type(file));
  call.stream = std::make_unique<FileBody>(std::move(source), size, progress, crc);
  MAYFLY_TRY(Reply reply, client.object(std::move(call)));
  std::string stored = reply.headers.get("x-oss-hash-crc64ecma");
  if (!stored.empty() && stored != fmt::to_string(crc)) return damaged(bucket, key);
  return {};
}

Result<void> download(ApiClient& client, const std::string& bucket, const std::string& key, const std::string& file, Progress& progress) {
  bool to_stdout = file == "-";
  std::string partial = file + ".part";
  sys::Fd target(to_stdout ? dup(STDOUT_FILENO) : open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!target) return fail(Kind::local, fmt::format("cannot write {}: {}", partial, strerror(errno)));
  uint64_t crc = 0;
  progress.begin(key, 0);
  ObjectCall call{.method = "GET", .bucket = bucket, .key = key};
  call.sink = [&](std::string_view piece) {
    crc = crc64(piece, crc);
    progress.advance(piece.size());
    try {
      sys::write_all(target.get(), piece, file);
    } catch (const sys::Fault&) {
      return false;
    }
    return true;
  };
  auto reply = client.object(std::move(call));
  std::string sent = reply ? reply->headers.get("x-oss-hash-crc64ecma") : std::string();
  bool intact = sent.empty() || sent == fmt::to_string(crc);
  if (!to_stdout) {
    target.reset();
    if (!reply || !intact) unlink(partial.c_str());
    else if (rename(partial.c_str(), file.c_str()) != 0) return fail(Kind::local, fmt::format("cannot write {}: {}", file, strerror(errno)));
  }
  if (!reply) return std::unexpected(std::move(reply).error());
  if (!intact) return damaged(bucket, key);
  return {};
}

Result<std::vector<ObjectEntry>> list_objects(ApiClient& client, const std::string& bucket, const std::string& prefix, const std::string& delimiter) {
  std::vector<ObjectEntry> entries;
  std::string marker;
  while (true) {
    ObjectCall call{.method = "GET", .bucket = bucket};
    call.query = {{"encoding-type", "url"}, {"max-keys", "1000"}};
    for (auto [name, value] : {std::pair("prefix", prefix), std::pair("delimiter", delimiter), std::pair("marker", marker)})
      if (!value.empty()) call.query.emplace_back(name, value);
    MAYFLY_TRY(Reply reply, client.object(std::move(call)));
    pugi::xml_document xml;
    if (!xml.load_buffer(reply.body.data(), reply.body.size())) return fail(Kind::refused, "the server's list of " + bucket + " is not XML");
    pugi::xml_node list = xml.child("ListBucketResult");
    bool encoded = std::string_view(list.child_value("EncodingType")) == "url";
    for (const auto& item : list.children("Contents"))
      entries.push_back({text_of(item, "Key", encoded), std::strtoull(item.child_value("Size"), nullptr, 10), item.child_value("LastModified"), false});
    for (const auto& item : list.children("CommonPrefixes")) entries.push_back({text_of(item, "Prefix", encoded), 0, {}, true});
    if (std::string_view(list.child_value("IsTruncated")) != "true") break;
    marker = text_of(list, "NextMarker", encoded);
    if (marker.empty()) break;
  }
  std::sort(entries.begin(), entries.end(), [](const ObjectEntry& a, const ObjectEntry& b) { return a.key < b.key; });
  return entries;
}

}  // namespace mayfly::cli
