#pragma once
// What the signature schemes share: the canonical forms of headers and queries, the reading of Authorization headers, and the two
// decisions at the end of every verification (is the date near, is the signature equal). Internal to auth/.

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/identity.h"
#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

constexpr size_t kMaxSignedNames = 200;  // names in a header list; requests have at most as many headers (http/server.h)

// Lower-case name -> trimmed value; the values of a repeated field are joined by ",".
using SignedHeaders = std::map<std::string, std::string>;
void collect_prefixed(const http::Headers& headers, std::string_view prefix, SignedHeaders& out);  // `prefix` in lower case
void collect_named(const http::Headers& headers, std::string_view name, SignedHeaders& out);       // `name` in lower case; absent is fine
std::string header_lines(const SignedHeaders& headers);                                             // "name:value\n" each

// "a=1&b", both sides encoded, sorted; `bare` says for which names an empty value is written without "=".
enum class Empties { bare, subresources_bare, with_equals };
std::string canonical_query(const http::Query& query, Empties empties, std::initializer_list<std::string_view> except = {});
bool has_empty_value(const http::Query& query);

// "Name=value, Name=value" (or with ':'), in any order, spaces optional; names in lower case.
std::map<std::string, std::string> read_fields(std::string_view text, char separator);
std::vector<std::string> read_names(std::string_view text, char separator = ';');  // lower case, sorted, no empty ones
std::string join(const std::vector<std::string>& names, char separator);

// Decimal seconds since 1970, or of a duration; values too large for the calendar become kFarSeconds. nullopt if not a number.
constexpr int64_t kFarSeconds = 4'000'000'000'000;  // the year 128,000: as microseconds, even added to a date, it fits int64_t
std::optional<int64_t> read_seconds(std::string_view text);

Result<void> check_skew(int64_t date_us, const Clock& clock);

// One reading of a request: what the server would have signed, and the signature over it.
struct Reading {
  std::string string_to_sign;
  std::string signature;
};
// The identity if any reading's signature equals `sent`; else bad_signature with the first reading's string to sign as hint.
Result<Identity> judge(const std::string& sent, const std::vector<Reading>& readings, const Identity& identity);

}  // namespace mayfly::auth
