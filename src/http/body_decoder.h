#pragma once
// BodyDecoder: takes the framing off a body's bytes, in place. Knows where the body ends, to the byte, and refuses chunk framing that is
// not exactly RFC 9112 section 7.1: lines end with CR LF, sizes are plain hexadecimal, data is followed by CR LF and nothing else.
// Trailers are kept for whoever asks (trailers()); extensions and trailers together have a bound, since they carry no body byte.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>

namespace mayfly::http {

// Bytes of chunk extensions and trailers in one body. A function that fails while it streams tells its error, with a stack, in trailers.
constexpr size_t kMaxChunkOverhead = 64 * 1024;

class BodyDecoder {
 public:
  void start_sized(uint64_t length);
  void start_chunked();
  void start_until_eof();

  struct Decoded {
    size_t size;      // body bytes, moved to the front of the buffer
    size_t consumed;  // of the input; less than all of it only when the body is complete
  };
  // nullopt if the framing is malformed.
  std::optional<Decoded> decode(std::span<char> bytes);
  const std::string& trailers() const { return trailers_; }  // their lines as sent, each ended by "\r\n"
  bool complete() const { return state_ == State::complete; }
  // The peer has ended its side: true if the body may end so.
  bool end_of_stream();
  // Bytes still to come when the length is known.
  std::optional<uint64_t> remaining() const;

 private:
  enum class State { sized, until_eof, size_first, size, extension, size_lf, data, data_cr, data_lf, trailer_start, trailer, trailer_lf, end_lf, complete };
  bool step(char c);
  bool size_digit(char c);

  State state_ = State::complete;
  uint64_t left_ = 0;  // of the sized body or the current chunk
  size_t overhead_ = 0;
  std::string trailers_;
};

}  // namespace mayfly::http
