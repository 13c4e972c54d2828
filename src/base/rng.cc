#include "base/rng.h"

#include <sys/random.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"

namespace mayfly {

std::string Rng::bytes(size_t count) {
  std::string out;
  out.reserve(count + sizeof(uint64_t));
  while (out.size() < count) {
    uint64_t word = next();
    out.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  out.resize(count);
  return out;
}

std::string Rng::hex(size_t digits) {
  std::string out = hex_encode(bytes((digits + 1) / 2));
  out.resize(digits);
  return out;
}

uint64_t SystemRng::next() {
  constexpr size_t kWords = 32;  // 256 bytes: the most that getrandom gives whole whatever the signals
  thread_local std::array<uint64_t, kWords> words;
  thread_local size_t left = 0;
  if (left == 0) {
    MAYFLY_CHECK_OP(getrandom(words.data(), sizeof words, 0), ==, static_cast<ssize_t>(sizeof words));
    left = kWords;
  }
  return std::exchange(words[--left], 0);  // nothing that was given out is kept
}

uint64_t SeededRng::next() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string uuid(Rng& rng) {
  uint64_t words[2] = {rng.next(), rng.next()};
  words[0] = (words[0] & ~uint64_t{0xf000}) | 0x4000;                  // version
  words[1] = (words[1] & ~(uint64_t{3} << 62)) | (uint64_t{1} << 63);  // variant
  std::string out;
  out.reserve(36);
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) out += '-';
    out += "0123456789abcdef"[words[digit / 16] >> (60 - digit % 16 * 4) & 15];
  }
  return out;
}

}  // namespace mayfly
