#include "dialects/aliyun/oss_form_policy.h"

#include "base/encoding.h"
#include "base/json.h"

namespace mayfly::dialects::aliyun {
namespace {

std::unexpected<OssError> bad_policy() { return refuse(400, "InvalidPolicyDocument", "The content of the form does not meet the conditions of a policy document."); }

std::unexpected<OssError> failed(const json::value& condition) {
  return access_denied("Invalid according to Policy: Policy Condition failed: " + to_text(condition));
}

// The field that "$name" or "name" means; absent reads as "".
std::string field_of(const http::Query& fields, std::string_view name) {
  if (name.starts_with('$')) name.remove_prefix(1);
  const std::string* value = http::find(fields, lower(name));
  return value ? *value : std::string();
}

OssExpected<void> check_equal(const json::object& condition, const http::Query& fields) {
  for (const auto& [name, value] : condition) {
    if (!value.is_string()) return bad_policy();
    if (field_of(fields, name) != view(value.as_string())) return failed(condition);
  }
  return {};
}

bool contains(const json::array& list, std::string_view text) {
  return std::ranges::any_of(list, [text](const json::value& item) { return item.is_string() && view(item.as_string()) == text; });
}

OssExpected<void> check_list(const json::array& condition, const http::Query& fields, SizeLimits& limits) {
  if (condition.size() != 3 || !condition[0].is_string()) return bad_policy();
  std::string kind = lower(view(condition[0].as_string()));
  if (kind == "content-length-range") {
    if (!condition[1].is_number() || !condition[2].is_number()) return bad_policy();
    boost::system::error_code below, above;
    uint64_t least = condition[1].to_number<uint64_t>(below), most = condition[2].to_number<uint64_t>(above);
    if (below || above) return bad_policy();
    limits.least = std::max(limits.least, least);
    limits.most = std::min(limits.most, most);
    return {};
  }
  if (!condition[1].is_string()) return bad_policy();
  std::string actual = field_of(fields, view(condition[1].as_string()));
  if (kind == "in" || kind == "not-in") {
    if (!condition[2].is_array()) return bad_policy();
    if (contains(condition[2].as_array(), actual) != (kind == "in")) return failed(condition);
    return {};
  }
  if (!condition[2].is_string()) return bad_policy();
  std::string_view wanted = view(condition[2].as_string());
  if (kind == "eq" && actual != wanted) return failed(condition);
  if (kind == "starts-with" && !actual.starts_with(wanted)) return failed(condition);
  if (kind != "eq" && kind != "starts-with") return bad_policy();
  return {};
}

}  // namespace

OssExpected<SizeLimits> check_form_policy(const std::string& policy_base64, const http::Query& fields) {
  std::optional<std::string> text = base64_decode(policy_base64);
  auto policy = parse_json(text.value_or(""));
  const json::value* conditions = policy ? find(*policy, "conditions") : nullptr;
  if (conditions == nullptr || !conditions->is_array()) return bad_policy();
  SizeLimits limits;
  for (const json::value& condition : conditions->as_array()) {
    if (condition.is_object()) {
      MAYFLY_TRY_VOID(check_equal(condition.as_object(), fields));
    } else if (condition.is_array()) {
      MAYFLY_TRY_VOID(check_list(condition.as_array(), fields, limits));
    } else {
      return bad_policy();
    }
  }
  return limits;
}

}  // namespace mayfly::dialects::aliyun
