#include "store/keys.h"

#include "base/check.h"

namespace mayfly::store {
namespace {

constexpr char kEscape = '\x00';      // begins both pairs below
constexpr char kEscapedZero = '\xff';  // after kEscape: a 0x00 byte of the part
constexpr char kEndOfPart = '\x01';    // after kEscape: the part ends; less than kEscapedZero, so ("a") < ("a\0")

constexpr uint64_t kSignBit = uint64_t{1} << 63;  // flipped, so that negative values sort first

}  // namespace

std::string make_key(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (auto part : parts) size += part.size() + 2;
  std::string key;
  key.reserve(size);
  for (auto part : parts) {
    for (char byte : part) {
      key.push_back(byte);
      if (byte == kEscape) key.push_back(kEscapedZero);
    }
    key.push_back(kEscape);
    key.push_back(kEndOfPart);
  }
  return key;
}

std::optional<std::vector<std::string>> split_key(std::string_view key) {
  std::vector<std::string> parts;
  std::string part;
  bool open = false;  // bytes since the last end of a part
  for (size_t at = 0; at < key.size(); ++at) {
    open = true;
    if (key[at] != kEscape) {
      part.push_back(key[at]);
      continue;
    }
    if (++at == key.size()) return std::nullopt;
    if (key[at] == kEscapedZero) {
      part.push_back(kEscape);
    } else if (key[at] == kEndOfPart) {
      parts.push_back(std::exchange(part, {}));
      open = false;
    } else {
      return std::nullopt;
    }
  }
  if (open) return std::nullopt;
  return parts;
}

std::string ordered_int(int64_t value) {
  uint64_t bits = static_cast<uint64_t>(value) ^ kSignBit;
  std::string out(8, '\0');
  for (size_t at = 0; at < 8; ++at) out[at] = static_cast<char>(bits >> (56 - 8 * at));
  return out;
}

int64_t read_ordered_int(std::string_view part) {
  MAYFLY_CHECK_OP(part.size(), ==, size_t{8});
  uint64_t bits = 0;
  for (char byte : part) bits = bits << 8 | static_cast<unsigned char>(byte);
  return static_cast<int64_t>(bits ^ kSignBit);
}

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

}  // namespace mayfly::store
