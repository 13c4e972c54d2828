#pragma once
// Key layouts: a key is a tuple of parts written so that byte order of keys equals order of tuples. A part's 0x00 bytes become
// 0x00 0xff and each part ends with 0x00 0x01, so ("a") < ("a","b") < ("ab"). Integers are 8 bytes big-endian.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::store {

std::string make_key(std::initializer_list<std::string_view> parts);
std::optional<std::vector<std::string>> split_key(std::string_view key);  // nullopt if not made by make_key

// 8 bytes, order-preserving for signed values; use as a part.
std::string ordered_int(int64_t value);
int64_t read_ordered_int(std::string_view part);  // part.size() must be 8

// The first key after every key that starts with `prefix`; "" if there is none.
std::string after_prefix(std::string prefix);

}  // namespace mayfly::store
