#include <fcntl.h>
#include <gtest/gtest.h>

#include <charconv>

#include "base/encoding.h"
#include "io/sim_loop.h"
#include "runtime/dns.h"
#include "runtime/frame.h"
#include "sys/file.h"
#include "sys/memfd.h"

namespace mayfly::runtime {
namespace {

// Hands out its bytes in pieces of a given size.
class Pieces final : public io::PassingStream {
 public:
  Pieces(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  io::Task<std::expected<size_t, io::StreamError>> read_some(std::span<char> buffer, io::Deadline) override {
    size_t size = std::min({piece_, buffer.size(), bytes_.size()});
    std::memcpy(buffer.data(), bytes_.data(), size);
    bytes_.erase(0, size);
    co_return size;
  }
  io::Task<std::expected<void, io::StreamError>> write_all(std::string_view, io::Deadline) override { co_return std::expected<void, io::StreamError>{}; }
  void shutdown_write() override {}
  void close() override {}
  std::string peer() const override { return "pieces"; }
  io::Task<std::expected<void, io::StreamError>> write_with(std::string_view, int, io::Deadline) override { co_return std::expected<void, io::StreamError>{}; }
  int take_descriptor() override { return descriptor.release(); }

  sys::Fd descriptor;

 private:
  std::string bytes_;
  size_t piece_;
};

std::string sample() {
  return encode_frame({.kind = FrameKind::reply, .status = FrameStatus::handled_error, .retries = 2, .call = 7, .duration_us = 0x1122334455}, "meta", "payload");
}

TEST(Frame, LiesOnTheWireAsDocumented) {
  EXPECT_EQ(hex_encode(sample()),
            "07000000"          // payload size
            "04000000"          // meta size
            "04" "01" "0200"    // kind, status, retries
            "07000000"          // call
            "5544332211000000"  // duration
            "6d657461" "7061796c6f6164");
}

TEST(Frame, IsCutOutOfAStreamHoweverItArrives) {
  for (size_t piece : {1, 3, 24, 31, 1000}) {
    io::SimLoop loop;
    Pieces stream(sample() + encode_frame({.kind = FrameKind::ready}, "", "") + sample(), piece);
    FrameReader reader;
    auto first = loop.wait(reader.next(stream));
    ASSERT_TRUE(first);
    EXPECT_EQ(first->meta + "|" + first->payload, "meta|payload");
    EXPECT_EQ(first->header.call, 7u);
    EXPECT_EQ(loop.wait(reader.next(stream))->header.kind, FrameKind::ready);
    EXPECT_EQ(loop.wait(reader.next(stream))->payload, "payload");
    EXPECT_EQ(loop.wait(reader.next(stream)).error(), FrameReader::End::closed);
  }
}

TEST(Frame, BeyondALimitOrOfAnUnknownKindIsMalformed) {
  for (FrameHeader header : {FrameHeader{.payload_size = kMaxPayloadBytes + 1, .kind = FrameKind::reply}, FrameHeader{.meta_size = kMaxMetaBytes + 1, .kind = FrameKind::reply},
                             FrameHeader{.kind = FrameKind{0}}, FrameHeader{.kind = FrameKind{10}}, FrameHeader{.kind = FrameKind::reply, .status = FrameStatus{2}}}) {
    io::SimLoop loop;
    Pieces stream(std::string(reinterpret_cast<const char*>(&header), sizeof header), 1000);
    FrameReader reader;
    EXPECT_EQ(loop.wait(reader.next(stream)).error(), FrameReader::End::malformed);
  }
}

TEST(Frame, ALargePayloadComesAsASealedFile) {
  std::string photo(300'000, 'p');
  io::SimLoop loop;
  std::string large = encode_memfd_frame({.kind = FrameKind::reply, .status = FrameStatus::handled_error, .call = 3}, "meta", photo.size());
  Pieces stream(large + encode_frame({.kind = FrameKind::ready}, "", "next"), 10);
  stream.descriptor = sys::sealed_memfd(photo);
  FrameReader reader;
  auto frame = loop.wait(reader.next(stream));
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->payload, photo);
  EXPECT_EQ(frame->meta, "meta");
  EXPECT_EQ(frame->header.status, FrameStatus::handled_error);
  EXPECT_EQ(loop.wait(reader.next(stream))->payload, "next");
}

TEST(Frame, AFileThatIsMissingOrShortOrOpenIsMalformed) {
  for (int kind : {0, 1, 2}) {
    io::SimLoop loop;
    Pieces stream(encode_memfd_frame({.kind = FrameKind::reply}, "", 5), 1000);
    if (kind == 1) stream.descriptor = sys::sealed_memfd("four");
    if (kind == 2) stream.descriptor = sys::Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    FrameReader reader;
    EXPECT_EQ(loop.wait(reader.next(stream)).error(), FrameReader::End::malformed) << kind;
  }
}

// The number that another language's source gives a name: `NAME = 24`, `NAME: 0x80`, `NAME = 33 << 20`; nullopt if there is none.
std::optional<uint64_t> constant(std::string_view source, std::string_view name) {
  auto skip = [](std::string_view& text, std::string_view what) { text.remove_prefix(std::min(text.find_first_not_of(what), text.size())); };
  auto number = [](std::string_view& text) -> std::optional<uint64_t> {
    int base = text.starts_with("0x") ? 16 : 10;
    if (base == 16) text.remove_prefix(2);
    uint64_t out = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return out;
  };
  for (size_t at = 0; (at = source.find(name, at)) != source.npos; ++at) {
    if (at > 0 && (std::isalnum(static_cast<unsigned char>(source[at - 1])) || source[at - 1] == '_')) continue;
    std::string_view rest = source.substr(at + name.size());
    skip(rest, " ");
    if (!rest.starts_with('=') && !rest.starts_with(':')) continue;
    skip(rest, "=: ");
    auto value = number(rest);
    if (!value) continue;
    skip(rest, " ");
    if (!rest.starts_with("<<")) return value;
    skip(rest, "< ");
    if (auto shift = number(rest)) return *value << *shift;
  }
  return std::nullopt;
}

std::string source_of(const std::string& path) { return sys::read_file(MAYFLY_SOURCE_DIR "/runtimes/" + path); }

constexpr std::pair<const char*, FrameKind> kKinds[] = {{"START", FrameKind::start}, {"READY", FrameKind::ready}, {"CALL", FrameKind::call},
                                                        {"REPLY", FrameKind::reply}, {"FAILED", FrameKind::failed}, {"HEAD", FrameKind::head},
                                                        {"CHUNK", FrameKind::chunk}, {"HOOK", FrameKind::hook},     {"IMPORTED", FrameKind::imported}};
static_assert(std::size(kKinds) == static_cast<size_t>(FrameKind::imported));

// The SDK has a test of its own, frame_parity_test.cc.
TEST(Frame, HasTheSameConstantsInEveryLanguage) {
  struct Language {
    const char *path, *header, *most;
    bool capitals = true;  // START or Start
  };
  for (const Language& each : {Language{"nodejs/link.js", "HEADER_SIZE", "MAX_PAYLOAD"}, Language{"php/link.php", "HEADER_SIZE", "MAX_PAYLOAD"},
                               Language{"java/main/mayfly/Frames.java", "HEADER_BYTES", "MAX_PAYLOAD_BYTES"},
                               Language{"dotnet/main/Frames.cs", "HeaderBytes", "MaxPayloadBytes", false}}) {
    std::string source = source_of(each.path);
    for (auto [name, kind] : kKinds) {
      std::string spelled = each.capitals ? name : name[0] + lower(name).substr(1);
      EXPECT_EQ(constant(source, spelled), static_cast<uint64_t>(kind)) << each.path << " " << name;
    }
    EXPECT_EQ(constant(source, each.capitals ? "OK" : "Ok"), static_cast<uint64_t>(FrameStatus::ok)) << each.path;
    EXPECT_EQ(constant(source, each.capitals ? "HANDLED_ERROR" : "HandledError"), static_cast<uint64_t>(FrameStatus::handled_error)) << each.path;
    EXPECT_EQ(constant(source, each.header), sizeof(FrameHeader)) << each.path;
    EXPECT_EQ(constant(source, each.most), uint64_t{kMaxPayloadBytes}) << each.path;
  }
}

TEST(Frame, HasTheSameConstantsInPython) {
  std::string source = source_of("python/frames.py"), names, numbers;
  for (auto [name, kind] : kKinds) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    numbers += fmt::format("{}{}", numbers.empty() ? "" : ", ", static_cast<int>(kind));
  }
  for (const std::string& line : {names + " = " + numbers, std::string("OK, HANDLED_ERROR = 0, 1"), std::string("HEADER = struct.Struct(\"<IIBBHIQ\")")})
    EXPECT_NE(source.find("\n" + line), source.npos) << line;
  static_assert(sizeof(FrameHeader) == 4 + 4 + 1 + 1 + 2 + 4 + 8, "IIBBHIQ");
  EXPECT_EQ(constant(source, "IN_MEMFD"), uint64_t{kInMemfd});
  EXPECT_EQ(constant(source, "_MEMFD_SIZE"), uint64_t{kMemfdBytes});
  EXPECT_EQ(constant(source, "MAX_PAYLOAD"), uint64_t{kMaxPayloadBytes});
}

std::string query(std::string_view name_hex, std::string_view type = "0001") {
  return *hex_decode(fmt::format("abcd01000001000000000000{}{}0001", name_hex, type));
}
const std::string kOss = "036f737308616c6979756e637303636f6d00";  // oss.aliyuncs.com

TEST(Names, OfTheVendorLeadToTheLoopback) {
  EXPECT_EQ(hex_encode(*answer_name(query(kOss))), "abcd85800001000100000000" + kOss + "00010001" "c00c000100010000003c00047f000001");
}

TEST(Names, ThatWereGrantedLeadToTheirListeners) {
  std::string asked = "076578616d706c6503636f6d00";  // example.com
  EXPECT_EQ(hex_encode(*answer_name(query(asked), {{"example.com", "127.0.1.7"}})), "abcd85800001000100000000" + asked + "00010001" "c00c000100010000003c00047f000107");
}

TEST(Names, OfTheVendorHaveNoOtherAddresses) { EXPECT_EQ(hex_encode(*answer_name(query(kOss, "001c"))), "abcd85800001000000000000" + kOss + "001c0001"); }

TEST(Names, OfEverybodyElseDoNotExist) {
  EXPECT_EQ(hex_encode(*answer_name(query("076578616d706c6503636f6d00"))), "abcd85830001000000000000" "076578616d706c6503636f6d00" "00010001");
}

TEST(Names, MalformedQueriesAreNotAnswered) {
  std::string good = query(kOss);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(answer_name(good.substr(0, size))) << size;
  EXPECT_FALSE(answer_name(*hex_decode("abcd01000001000000000000c00c00010001"))) << "a pointer in a question";
  EXPECT_FALSE(answer_name(*hex_decode("abcd81000001000000000000" + kOss + "00010001"))) << "a response";
}

}  // namespace
}  // namespace mayfly::runtime
