#include "flows/yaml.h"

#include <yaml-cpp/yaml.h>

#include <cmath>

namespace mayfly::flows {
namespace {

constexpr size_t kMaxExpandedBytes = 8 * kMaxYamlBytes;  // text repeated through aliases

json::value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  const char* first = text.data() + (text.front() == '+' ? 1 : 0);
  const char* last = text.data() + text.size();
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    first += 2;
  }
  int64_t integer = 0;
  if (auto [end, error] = std::from_chars(first, last, integer, base); error == std::errc{} && end == last) return integer;
  if (base != 10 || std::isalpha(static_cast<unsigned char>(text.back())) || text.find_first_not_of("+-.0123456789eE") != std::string::npos) return json::value(text);
  double number = 0;
  if (auto [end, error] = std::from_chars(first, last, number); error == std::errc{} && end == last && std::isfinite(number)) return number;
  return json::value(text);
}

class Converter {
 public:
  Expected<json::value, YamlError> convert(const YAML::Node& node, int depth) {
    if (depth > kMaxYamlDepth) return fail(YamlError::too_large, fmt::format("YAML nests deeper than {} levels", kMaxYamlDepth));
    if (++values_ > kMaxYamlValues || bytes_ > kMaxExpandedBytes) {
      return fail(YamlError::too_large, fmt::format("YAML expands to more than {} values or {} bytes", kMaxYamlValues, kMaxExpandedBytes));
    }
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: return json::value(nullptr);
      case YAML::NodeType::Scalar:
        bytes_ += node.Scalar().size();
        if (node.Tag() == "?" || node.Tag().empty()) return plain_scalar(node.Scalar());
        return json::value(node.Scalar());
      case YAML::NodeType::Sequence: return sequence(node, depth);
      case YAML::NodeType::Map: return map(node, depth);
    }
    return json::value(nullptr);
  }

 private:
  Expected<json::value, YamlError> sequence(const YAML::Node& node, int depth) {
    json::array out;
    for (const auto& element : node) {
      MAYFLY_TRY(auto value, convert(element, depth + 1));
      out.push_back(std::move(value));
    }
    return out;
  }
  Expected<json::value, YamlError> map(const YAML::Node& node, int depth) {
    json::object out;
    for (const auto& member : node) {
      if (!member.first.IsScalar()) return fail(YamlError::malformed, fmt::format("line {}: a key must be a scalar", member.first.Mark().line + 1));
      bytes_ += member.first.Scalar().size();
      MAYFLY_TRY(auto value, convert(member.second, depth + 1));
      out.insert_or_assign(member.first.Scalar(), std::move(value));
    }
    return out;
  }

  size_t values_ = 0, bytes_ = 0;
};

}  // namespace

Expected<json::value, YamlError> yaml_to_json(std::string_view text) {
  if (text.size() > kMaxYamlBytes) return fail(YamlError::too_large, fmt::format("YAML is larger than {} bytes", kMaxYamlBytes));
  try {
    return Converter().convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& error) {
    return fail(YamlError::malformed, fmt::format("line {}, column {}: {}", error.mark.line + 1, error.mark.column + 1, error.msg));
  }
}

}  // namespace mayfly::flows
