#pragma once
// Reading one object of a definition field by field: every failure names its path, and what was never asked for becomes a warning.

#include <set>

#include "flows/definition.h"
#include "flows/flows.h"

namespace mayfly::flows {

std::unexpected<Failure<FlowError>> bad(const std::string& where, std::string why);

class Fields {
 public:
  // `value` must outlive this.
  static Result<Fields> of(const json::value& value, std::string where);

  const std::string& where() const { return where_; }
  std::string at(std::string_view field) const { return where_.empty() ? std::string(field) : fmt::format("{}.{}", where_, field); }
  // The member, or nullptr if absent or null.
  const json::value* get(std::string_view field);

  Result<std::string> text(std::string_view field, std::string fallback = {});
  Result<double> number(std::string_view field, double fallback, double least, double most);
  Result<bool> boolean(std::string_view field, bool fallback);
  Result<const json::array*> array(std::string_view field);  // nullptr if absent
  Result<std::vector<std::string>> texts(std::string_view field);
  Result<std::optional<Mappings>> mappings(std::string_view field);
  // A value in which a string that begins with '$' is a path (collection, duration, timestamp, fail's error and cause).
  Result<std::optional<Source>> source(std::string_view field);
  Result<std::optional<Condition>> condition(std::string_view field);

  // Adds "<path>: unknown field, ignored" for every member that nothing asked for.
  void warn_unknown(std::vector<std::string>& warnings) const;

 private:
  Fields(const json::object& object, std::string where) : object_(&object), where_(std::move(where)) {}

  const json::object* object_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace mayfly::flows
