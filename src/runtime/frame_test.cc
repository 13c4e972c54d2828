#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "io/sim_loop.h"
#include "runtime/dns.h"
#include "sys/memfd.h"
#include "runtime/frame.h"

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
