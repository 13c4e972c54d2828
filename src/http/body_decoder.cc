#include "http/body_decoder.h"

#include <algorithm>
#include <cstring>

namespace mayfly::http {

void BodyDecoder::start_sized(uint64_t length) { *this = {}, state_ = length == 0 ? State::complete : State::sized, left_ = length; }
void BodyDecoder::start_chunked() { *this = {}, state_ = State::size_first; }
void BodyDecoder::start_until_eof() { *this = {}, state_ = State::until_eof; }

bool BodyDecoder::end_of_stream() {
  if (state_ == State::until_eof) state_ = State::complete;
  return complete();
}

std::optional<uint64_t> BodyDecoder::remaining() const {
  if (state_ == State::sized) return left_;
  if (state_ == State::complete) return 0;
  return std::nullopt;
}

std::optional<BodyDecoder::Decoded> BodyDecoder::decode(std::span<char> bytes) {
  size_t in = 0, out = 0;
  while (in < bytes.size() && state_ != State::complete) {
    if (state_ != State::sized && state_ != State::data && state_ != State::until_eof) {
      if (!step(bytes[in++])) return std::nullopt;
      continue;
    }
    size_t take = bytes.size() - in;
    if (state_ != State::until_eof) {
      take = static_cast<size_t>(std::min<uint64_t>(take, left_));
      left_ -= take;
    }
    if (in != out) std::memmove(bytes.data() + out, bytes.data() + in, take);
    in += take;
    out += take;
    if (left_ == 0 && state_ == State::sized) state_ = State::complete;
    if (left_ == 0 && state_ == State::data) state_ = State::data_cr;
  }
  return Decoded{out, in};
}

bool BodyDecoder::size_digit(char c) {
  int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  if (digit < 0 || left_ >> 56 != 0) return false;  // sixteen digits never overflow, the seventeenth might
  left_ = left_ << 4 | static_cast<uint64_t>(digit);
  state_ = State::size;
  return true;
}

// One byte of chunk framing.
bool BodyDecoder::step(char c) {
  auto expect = [&](char wanted, State next) { return c == wanted ? (state_ = next, true) : false; };
  switch (state_) {
    case State::size_first:
      left_ = 0;
      return size_digit(c);
    case State::size:
      if (c == '\r') return expect('\r', State::size_lf);
      if (c == ';' || c == ' ' || c == '\t') return state_ = State::extension, true;
      return size_digit(c);
    case State::extension:
      if (c == '\r') return expect('\r', State::size_lf);
      return c != '\n' && ++overhead_ <= kMaxChunkOverhead;
    case State::size_lf: return expect('\n', left_ == 0 ? State::trailer_start : State::data);
    case State::data_cr: return expect('\r', State::data_lf);
    case State::data_lf: return expect('\n', State::size_first);
    case State::trailer_start:
      if (c == '\r') return expect('\r', State::end_lf);
      [[fallthrough]];
    case State::trailer:
      if (c == '\r') return expect('\r', State::trailer_lf);
      state_ = State::trailer;
      trailers_ += c;
      return c != '\n' && ++overhead_ <= kMaxChunkOverhead;
    case State::trailer_lf:
      trailers_ += "\r\n";
      return expect('\n', State::trailer_start);
    case State::end_lf: return expect('\n', State::complete);
    default: return false;
  }
}

}  // namespace mayfly::http
