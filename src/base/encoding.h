#pragma once
// Text encodings of the wire formats. Decoders return nullopt on malformed input.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

std::string hex_encode(std::string_view bytes);  // lower case
std::optional<std::string> hex_decode(std::string_view text);

std::string base64_encode(std::string_view bytes);                // RFC 4648 section 4, padded
std::optional<std::string> base64_decode(std::string_view text);  // standard or URL-safe alphabet, padding optional

enum class Slash { encode, keep };
// RFC 3986: everything except A-Za-z0-9-_.~ becomes %XX (upper case).
std::string percent_encode(std::string_view text, Slash slash = Slash::encode);

enum class Plus { is_plus, is_space };
// Decodes %XX; a malformed escape is left as it stands, as every server in the field does.
std::string percent_decode(std::string_view text, Plus plus = Plus::is_plus);

void append_number(std::string& out, uint64_t number);  // decimal

std::string lower(std::string_view text);  // ASCII only
bool equals_ignore_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);  // ASCII white space at both ends

bool is_ascii(std::string_view bytes);
// `bytes` as well-formed UTF-8: whatever is none becomes U+FFFD, a byte at a time. For text of others that goes into JSON.
std::string to_utf8(std::string_view bytes);

}  // namespace mayfly
