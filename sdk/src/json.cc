#include "mayfly/json.h"

#include <charconv>
#include <cmath>

namespace mayfly {
namespace {

const Json& null() {
  static const Json value;
  return value;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json whole() {
    Json value = any(0);
    skip_space();
    if (at_ != text_.size()) fail("something follows the value");
    return value;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;

  [[noreturn]] void fail(const char* what) const { throw JsonError("not JSON at byte " + std::to_string(at_) + ": " + what); }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json any(int depth) {
    if (depth > Json::kMaxDepth) fail("too many values inside each other");
    skip_space();
    switch (peek()) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return string();
      case 't': if (take("true")) return true; break;
      case 'f': if (take("false")) return false; break;
      case 'n': if (take("null")) return {}; break;
      default: return number();
    }
    fail("no value begins like this");
  }

  Json object(int depth) {
    Json::Members members;
    ++at_;
    skip_space();
    if (take('}')) return Json::object();
    while (true) {
      skip_space();
      if (peek() != '"') fail("a member's name is missing");
      std::string name = string();
      skip_space();
      if (!take(':')) fail("':' is missing");
      members.emplace_back(std::move(name), any(depth + 1));
      skip_space();
      if (take('}')) return Json::object(std::move(members));
      if (!take(',')) fail("',' or '}' is missing");
    }
  }

  Json array(int depth) {
    Json::Items items;
    ++at_;
    skip_space();
    if (take(']')) return Json::array();
    while (true) {
      items.push_back(any(depth + 1));
      skip_space();
      if (take(']')) return Json::array(std::move(items));
      if (!take(',')) fail("',' or ']' is missing");
    }
  }

  Json number() {
    size_t begin = at_;
    bool whole = true;
    take('-');
    size_t digits = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (at_ == digits) fail("no value begins like this");
    if (text_[digits] == '0' && at_ > digits + 1) fail("a number begins with 0");
    if (take('.')) whole = false, fraction_or_exponent();
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      whole = false;
      if (!take('+')) take('-');
      fraction_or_exponent();
    }
    const char *first = text_.data() + begin, *last = text_.data() + at_;
    int64_t integer = 0;
    if (whole && std::from_chars(first, last, integer).ec == std::errc()) return integer;
    double real = 0;
    if (std::from_chars(first, last, real).ec != std::errc()) fail("a number that no double can hold");
    return real;
  }
  void fraction_or_exponent() {
    size_t digits = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (at_ == digits) fail("a digit is missing");
  }

  std::string string() {
    std::string out;
    ++at_;
    while (true) {
      size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && static_cast<unsigned char>(text_[at_]) >= 0x20) ++at_;
      out.append(text_, begin, at_ - begin);
      if (at_ == text_.size()) fail("a string has no end");
      if (take('"')) return out;
      if (!take('\\')) fail("a control character in a string");
      escape(out);
    }
  }

  void escape(std::string& out) {
    char kind = peek();
    ++at_;
    switch (kind) {
      case '"': case '\\': case '/': out += kind; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': code_point(out); return;
      default: --at_; fail("no such escape");
    }
  }

  uint32_t four_digits() {
    uint32_t unit = 0;
    auto digits = text_.substr(at_, 4);
    auto end = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16).ptr;
    if (digits.size() < 4 || end != digits.data() + 4) fail("\\u needs four hexadecimal digits");
    at_ += 4;
    return unit;
  }

  void code_point(std::string& out) {
    uint32_t point = four_digits();
    if (point >= 0xD800 && point < 0xDC00 && take("\\u")) {
      uint32_t low = four_digits();
      if (low < 0xDC00 || low > 0xDFFF) fail("half of a surrogate pair");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    } else if (point >= 0xD800 && point < 0xE000) {
      fail("half of a surrogate pair");
    }
    auto byte = [&](uint32_t bits) { out += static_cast<char>(bits); };
    if (point < 0x80) return byte(point);
    if (point < 0x800) return byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F));
    if (point < 0x10000) return byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F));
    byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F));
  }
};

template <class Number>
void append_number(std::string& out, Number value) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// A double stays one when it is read again: 20.0, not 20.
void append_real(std::string& out, double value) {
  if (!std::isfinite(value)) return void(out += "null");  // JSON has no infinity
  size_t begin = out.size();
  append_number(out, value);
  if (out.find_first_of(".e", begin) == out.npos) out += ".0";
}

}  // namespace

Json::Json(std::initializer_list<std::pair<std::string, Json>> members) : value_(Members(members)) {}

Json Json::array(Items items) {
  Json out;
  out.value_ = std::move(items);
  return out;
}

Json Json::object(Members members) {
  Json out;
  out.value_ = std::move(members);
  return out;
}

Json Json::parse(std::string_view text) { return Parser(text).whole(); }

std::string Json::dump() const {
  std::string out;
  dump_to(out);
  return out;
}

void Json::dump_to(std::string& out) const {
  if (is_null()) {
    out += "null";
  } else if (auto* truth = std::get_if<bool>(&value_)) {
    out += *truth ? "true" : "false";
  } else if (auto* integer = std::get_if<int64_t>(&value_)) {
    append_number(out, *integer);
  } else if (auto* real = std::get_if<double>(&value_)) {
    append_real(out, *real);
  } else if (auto* text = std::get_if<std::string>(&value_)) {
    append_json_string(out, *text);
  } else if (auto* items = std::get_if<Items>(&value_)) {
    out += '[';
    for (const Json& item : *items) {
      if (&item != items->data()) out += ',';
      item.dump_to(out);
    }
    out += ']';
  } else {
    const auto& members = std::get<Members>(value_);
    out += '{';
    for (const auto& member : members) {
      if (&member != members.data()) out += ',';
      append_json_string(out, member.first);
      out += ':';
      member.second.dump_to(out);
    }
    out += '}';
  }
}

std::string_view Json::text(std::string_view otherwise) const {
  auto* text = std::get_if<std::string>(&value_);
  return text ? std::string_view(*text) : otherwise;
}

int64_t Json::integer(int64_t otherwise) const {
  if (auto* integer = std::get_if<int64_t>(&value_)) return *integer;
  constexpr double kBeyond = 9223372036854775808.0;  // 2^63
  auto* real = std::get_if<double>(&value_);
  return real && *real >= -kBeyond && *real < kBeyond ? static_cast<int64_t>(*real) : otherwise;
}

double Json::number(double otherwise) const {
  if (auto* real = std::get_if<double>(&value_)) return *real;
  auto* integer = std::get_if<int64_t>(&value_);
  return integer ? static_cast<double>(*integer) : otherwise;
}

bool Json::truth(bool otherwise) const {
  auto* truth = std::get_if<bool>(&value_);
  return truth ? *truth : otherwise;
}

const Json::Items& Json::items() const {
  static const Items none;
  auto* items = std::get_if<Items>(&value_);
  return items ? *items : none;
}

const Json::Members& Json::members() const {
  static const Members none;
  auto* members = std::get_if<Members>(&value_);
  return members ? *members : none;
}

size_t Json::size() const { return is_array() ? items().size() : members().size(); }

bool Json::contains(std::string_view name) const {
  for (const auto& member : members())
    if (member.first == name) return true;
  return false;
}

const Json& Json::operator[](std::string_view name) const {
  for (const auto& member : members())
    if (member.first == name) return member.second;
  return null();
}

const Json& Json::at(size_t index) const { return index < items().size() ? items()[index] : null(); }

Json& Json::operator[](std::string_view name) {
  if (!is_object()) value_ = Members();
  auto& members = std::get<Members>(value_);
  for (auto& member : members)
    if (member.first == name) return member.second;
  return members.emplace_back(std::string(name), Json()).second;
}

void Json::push_back(Json item) {
  if (!is_array()) value_ = Items();
  std::get<Items>(value_).push_back(std::move(item));
}

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, begin, at - begin);
    begin = at + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out.append("\\u00").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
    }
  }
  out.append(text, begin).append(1, '"');
}

}  // namespace mayfly
