#include "cli/deploy/yaml.h"

#include <yaml-cpp/yaml.h>

#include <cmath>

namespace mayfly::cli {
namespace {

constexpr size_t kMaxKeyBytes = 160;  // YAML's limit for plain keys is 1024, and writing one may escape each byte as six

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

// A number of the core schema: [-+]digits, 0x, 0o, or a decimal with point or exponent. nullopt for everything else.
std::optional<json::value> parse_number(std::string_view text) {
  std::string_view digits = text;
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  int base = digits.starts_with("0x") ? 16 : digits.starts_with("0o") ? 8 : 10;
  if (base != 10) digits.remove_prefix(2);
  if (digits.empty()) return std::nullopt;
  uint64_t whole = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), whole, base);
  if (end == digits.data() + digits.size() && error == std::errc() && whole <= uint64_t{INT64_MAX})
    return json::value(negative ? -static_cast<int64_t>(whole) : static_cast<int64_t>(whole));
  bool leads = (digits[0] >= '0' && digits[0] <= '9') || (digits[0] == '.' && digits.size() > 1 && digits[1] >= '0' && digits[1] <= '9');
  if (base != 10 || !leads) return std::nullopt;
  double number = 0;
  auto [stop, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (stop != digits.data() + digits.size() || fault != std::errc() || !std::isfinite(number)) return std::nullopt;
  return json::value(negative ? -number : number);
}

json::value resolve_plain(const std::string& text) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return nullptr;
  if (is_one_of(text, {"true", "True", "TRUE"})) return true;
  if (is_one_of(text, {"false", "False", "FALSE"})) return false;
  if (auto number = parse_number(text)) return *number;
  return json::string(text);
}

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  Result<json::value> read(const YAML::Node& node, size_t depth) {
    if (depth > kMaxJsonDepth) return refuse(node, fmt::format("nests deeper than {} levels", kMaxJsonDepth));
    if (++nodes_ > kMaxYamlNodes) return refuse(node, fmt::format("has more than {} values", kMaxYamlNodes));
    MAYFLY_TRY(json::value value, read_untagged(node, depth));
    return tagged(node.Tag(), std::move(value));
  }

 private:
  std::unexpected<Failure<Refusal>> refuse(const YAML::Node& node, const std::string& what) const {
    return fail(Kind::usage, fmt::format("{}:{}: {}", name_, node.Mark().line + 1, what));
  }

  Result<json::value> read_untagged(const YAML::Node& node, size_t depth) {
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: return json::value(nullptr);
      case YAML::NodeType::Scalar: {
        bool plain = node.Tag() == "?" || node.Tag().empty();
        if (plain) return resolve_plain(node.Scalar());
        return json::value(json::string(node.Scalar()));
      }
      case YAML::NodeType::Sequence: {
        json::array array;
        for (const YAML::Node& item : node) {
          MAYFLY_TRY(json::value value, read(item, depth + 1));
          array.push_back(std::move(value));
        }
        return json::value(std::move(array));
      }
      case YAML::NodeType::Map: return read_map(node, depth);
    }
    return json::value(nullptr);
  }

  Result<json::value> read_map(const YAML::Node& node, size_t depth) {
    json::object object;
    json::object merged;
    for (const auto& member : node) {
      if (!member.first.IsScalar()) return refuse(member.first, "a key should be a plain text");
      std::string key = member.first.Scalar();
      if (key.size() > kMaxKeyBytes) return refuse(member.first, fmt::format("a key should be at most {} bytes", kMaxKeyBytes));
      MAYFLY_TRY(json::value value, read(member.second, depth + 1));
      if (key == "<<" && value.is_object()) {
        for (const auto& inherited : value.get_object()) merged.emplace(inherited.key(), inherited.value());
      } else if (!object.emplace(key, std::move(value)).second) {
        return refuse(member.first, "the key \"" + key + "\" appears twice");
      }
    }
    for (auto& inherited : merged) object.emplace(inherited.key(), inherited.value());  // own keys win
    return json::value(std::move(object));
  }

  static json::value tagged(const std::string& tag, json::value value) {
    if (tag.size() < 2 || tag[0] != '!') return value;
    std::string name = tag.substr(1);
    if (name == "Ref" || name == "Condition") return json::object{{name, value}};
    if (name == "GetAtt" && value.is_string()) {
      std::string_view text = view(value.get_string());
      size_t dot = text.find('.');
      if (dot != std::string_view::npos) value = json::array{text.substr(0, dot), text.substr(dot + 1)};
    }
    return json::object{{"Fn::" + name, value}};
  }

  const std::string& name_;
  size_t nodes_ = 0;
};

bool is_plain_safe(std::string_view text) {
  if (text.empty() || !resolve_plain(std::string(text)).is_string()) return false;
  if (is_one_of(text, {"yes", "no", "on", "off", "Yes", "No", "On", "Off", "y", "n", "<<", "="})) return false;  // other readers' booleans
  for (char c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && std::string_view("_-./$ ").find(c) == std::string_view::npos) return false;
  return std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_' || text[0] == '/' || text[0] == '$' ? text.back() != ' ' : false;
}

std::string scalar_text(const json::value& value) {
  if (value.is_string() && is_plain_safe(view(value.get_string()))) return std::string(view(value.get_string()));
  return json::serialize(value);  // JSON scalars, {} and [] are YAML as they stand
}

bool is_block(const json::value& value) {
  return (value.is_object() && !value.get_object().empty()) || (value.is_array() && !value.get_array().empty());
}

void write_block(const json::value& value, size_t indent, std::string& out);

void write_member(std::string_view lead, const json::value& value, size_t indent, std::string& out) {
  out += lead;
  if (!is_block(value)) {
    out += " " + scalar_text(value) + "\n";
    return;
  }
  out += '\n';
  write_block(value, indent + 2, out);
}

void write_block(const json::value& value, size_t indent, std::string& out) {
  std::string margin(indent, ' ');
  if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      std::string key(member.key());
      write_member(margin + scalar_text(json::string(key)) + ":", member.value(), indent, out);
    }
  } else {
    for (const json::value& item : value.get_array()) {
      if (!is_block(item)) {
        out += margin + "- " + scalar_text(item) + "\n";
        continue;
      }
      std::string inner;
      write_block(item, indent + 2, inner);
      inner[indent] = '-';  // the item's first line begins at its own margin, where two blanks stand
      out += inner;
    }
  }
}

}  // namespace

Result<json::value> parse_yaml(const std::string& text, const std::string& name) {
  try {
    YAML::Node root = YAML::Load(text);
    return Reader(name).read(root, 0);
  } catch (const YAML::Exception& error) {
    return fail(Kind::usage, fmt::format("{}:{}: {}", name, error.mark.line + 1, error.msg));
  }
}

std::string write_yaml(const json::value& value) {
  if (!is_block(value)) return scalar_text(value) + "\n";
  std::string out;
  write_block(value, 0, out);
  return out;
}

}  // namespace mayfly::cli
