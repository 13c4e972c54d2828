#include "flows/fdl_fields.h"

namespace mayfly::flows {

std::unexpected<Failure<FlowError>> bad(const std::string& where, std::string why) {
  return fail(FlowError::invalid_definition, where.empty() ? std::move(why) : fmt::format("{}: {}", where, why));
}

Result<Fields> Fields::of(const json::value& value, std::string where) {
  if (!value.is_object()) return bad(where, "must be an object");
  return Fields(value.get_object(), std::move(where));
}

const json::value* Fields::get(std::string_view field) {
  known_.emplace(field);
  const json::value* value = object_->if_contains(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::string> Fields::text(std::string_view field, std::string fallback) {
  const json::value* value = get(field);
  if (value == nullptr) return fallback;
  if (!value->is_string()) return bad(at(field), "must be a string");
  return std::string(view(value->get_string()));
}

Result<double> Fields::number(std::string_view field, double fallback, double least, double most) {
  const json::value* value = get(field);
  if (value == nullptr) return fallback;
  if (!value->is_number()) return bad(at(field), "must be a number");
  auto number = value->to_number<double>();
  if (!(number >= least && number <= most)) return bad(at(field), fmt::format("must be between {} and {}", least, most));
  return number;
}

Result<bool> Fields::boolean(std::string_view field, bool fallback) {
  const json::value* value = get(field);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return bad(at(field), "must be true or false");
  return value->get_bool();
}

Result<const json::array*> Fields::array(std::string_view field) {
  const json::value* value = get(field);
  if (value == nullptr) return nullptr;
  if (!value->is_array()) return bad(at(field), "must be a list");
  return &value->get_array();
}

Result<std::vector<std::string>> Fields::texts(std::string_view field) {
  std::vector<std::string> out;
  MAYFLY_TRY(const json::array* array, this->array(field));
  if (array == nullptr) return out;
  for (size_t i = 0; i < array->size(); ++i) {
    if (!(*array)[i].is_string()) return bad(fmt::format("{}[{}]", at(field), i), "must be a string");
    out.emplace_back(view((*array)[i].get_string()));
  }
  return out;
}

Result<std::optional<Mappings>> Fields::mappings(std::string_view field) {
  MAYFLY_TRY(const json::array* array, this->array(field));
  if (array == nullptr) return std::nullopt;
  Mappings out;
  for (size_t i = 0; i < array->size(); ++i) {
    MAYFLY_TRY(auto entry, Fields::of((*array)[i], fmt::format("{}[{}]", at(field), i)));
    MAYFLY_TRY(std::string target, entry.text("target"));
    if (target.empty()) return bad(entry.at("target"), "missing");
    Source source{json::value(nullptr)};
    if (const json::value* value = entry.get("source")) {
      if (value->is_string() && Path::is_reference(view(value->get_string()))) {
        auto path = Path::parse(view(value->get_string()));
        if (!path) return bad(entry.at("source"), path.error().message);
        source = std::move(*path);
      } else {
        source = *value;
      }
    }
    out.push_back({std::move(target), std::move(source)});
  }
  return out;
}

Result<std::optional<Source>> Fields::source(std::string_view field) {
  const json::value* value = get(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string() || !view(value->get_string()).starts_with('$')) return Source{*value};
  auto path = Path::parse(view(value->get_string()));
  if (!path) return bad(at(field), path.error().message);
  return Source{std::move(*path)};
}

Result<std::optional<Condition>> Fields::condition(std::string_view field) {
  const json::value* value = get(field);
  if (value == nullptr) return std::nullopt;
  std::string text = value->is_string() ? std::string(view(value->get_string())) : to_text(*value);  // YAML reads a bare `true` as a boolean
  auto condition = Condition::parse(text);
  if (!condition) return bad(at(field), condition.error().message);
  return std::move(*condition);
}

void Fields::warn_unknown(std::vector<std::string>& warnings) const {
  for (const auto& member : *object_) {
    std::string_view key = member.key();
    if (!known_.contains(key)) warnings.push_back(at(key) + ": unknown field, ignored");
  }
}

}  // namespace mayfly::flows
