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
  std::string hex = rng.hex(32);
  hex[12] = '4';                             // version
  hex[16] = "89ab"[rng.next() & 3];          // variant
  for (size_t at : {20, 16, 12, 8}) hex.insert(at, 1, '-');
  return hex;
}

}  // namespace mayfly
