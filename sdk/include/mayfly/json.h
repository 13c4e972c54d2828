#pragma once
// Json: a JSON value that is pleasant to read from and to build, for functions that want no library for it. Reading never throws for what
// is missing: event.json()["photo"]["width"].integer(640) walks down and falls back. Only Json::parse throws, a JsonError that says where.
//
//   mayfly::Json{{"faces", 3}, {"where", mayfly::Json::array({10, 20})}}     an object, its members in the order they were written
//
// Numbers without a fraction that fit are 64-bit integers, all others doubles.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace mayfly {

class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Json {
 public:
  using Items = std::vector<Json>;
  using Members = std::vector<std::pair<std::string, Json>>;

  Json() = default;  // null
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  template <class Number>
    requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool> && !std::is_same_v<Number, char>)
  Json(Number value) {
    if constexpr (std::is_integral_v<Number>) {
      if (std::in_range<int64_t>(value)) value_ = static_cast<int64_t>(value);
      else value_ = static_cast<double>(value);
    } else {
      value_ = static_cast<double>(value);
    }
  }
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::initializer_list<std::pair<std::string, Json>> members);
  static Json array(Items items = {});
  static Json object(Members members = {});

  static constexpr int kMaxDepth = 256;  // of arrays and objects in each other: what a stack of any thread bears
  static Json parse(std::string_view text);
  std::string dump() const;
  void dump_to(std::string& out) const;

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_text() const { return std::holds_alternative<std::string>(value_); }
  bool is_number() const { return std::holds_alternative<int64_t>(value_) || std::holds_alternative<double>(value_); }
  bool is_array() const { return std::holds_alternative<Items>(value_); }
  bool is_object() const { return std::holds_alternative<Members>(value_); }

  // What is here, or `otherwise` when it is of another kind.
  std::string_view text(std::string_view otherwise = {}) const;
  int64_t integer(int64_t otherwise = 0) const;
  double number(double otherwise = 0) const;
  bool truth(bool otherwise = false) const;
  const Items& items() const;      // of an array; empty for anything else
  const Members& members() const;  // of an object; empty for anything else
  size_t size() const;             // of an array or object

  bool contains(std::string_view name) const;
  const Json& operator[](std::string_view name) const;  // null when absent
  const Json& operator[](const char* name) const { return (*this)[std::string_view(name)]; }
  template <std::integral Index>
  const Json& operator[](Index index) const { return at(static_cast<size_t>(index)); }  // null beyond the end
  template <std::integral Index>
  const Json& operator[](Index index) { return at(static_cast<size_t>(index)); }

  Json& operator[](std::string_view name);  // the member, made when absent; a value of another kind becomes an object
  Json& operator[](const char* name) { return (*this)[std::string_view(name)]; }
  void push_back(Json item);                // a value of another kind becomes an array

  bool operator==(const Json&) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Items, Members> value_;

  const Json& at(size_t index) const;
};

// Appends `text` as a JSON string, with its quotes.
void append_json_string(std::string& out, std::string_view text);

}  // namespace mayfly
