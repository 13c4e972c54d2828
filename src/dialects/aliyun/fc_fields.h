#pragma once
// Reading the members of a request's JSON: names in any case (aliyun-fc.md section 1.6), null is "not sent", and a wrong type is the
// caller's mistake, said once: the first one is kept and reported by done().

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "dialects/aliyun/fc_call.h"

namespace mayfly::dialects::aliyun {

class FcFields {
 public:
  explicit FcFields(const json::value& value, std::string_view what = "the body");

  // Each leaves `out` as it is when the member was not sent.
  void text(std::string_view key, std::string& out);
  void required_text(std::string_view key, std::string& out);  // sent, and not empty
  void number(std::string_view key, int64_t& out, int64_t low, int64_t high);
  void boolean(std::string_view key, bool& out);
  void text_map(std::string_view key, std::map<std::string, std::string>& out);  // replaces the whole map
  void number_map(std::string_view key, std::map<std::string, double>& out);
  const json::object* object(std::string_view key);
  const json::array* array(std::string_view key);
  const json::value* any(std::string_view key) const;  // nullptr also for null

  FcExpected<void> done() const;

 private:
  void wrong(std::string_view key, std::string_view expected);

  const json::value& value_;
  std::string problem_;
};

// The same value with every member's name beginning in lower case: {UserId: 1} -> {userId: 1}, at every depth.
json::value camel_case(const json::value& value);

}  // namespace mayfly::dialects::aliyun
