// Lifecycle rules: what may be combined, and in which order an object may be moved and removed.
#include <charconv>

#include "base/encoding.h"
#include "base/hash.h"
#include "dialects/aliyun/oss_call.h"
#include "dialects/aliyun/oss_config.h"
#include "dialects/aliyun/oss_metadata.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxRules = 1000;

// Storage classes from the warmest to the coldest: an object only moves towards the cold, later.
int coldness(std::string_view storage_class) {
  constexpr std::string_view kOrder[] = {"IA", "Archive", "ColdArchive", "DeepColdArchive"};
  auto at = std::ranges::find(kOrder, storage_class);
  return at == std::end(kOrder) ? -1 : static_cast<int>(at - std::begin(kOrder));
}

std::string text_of(const pugi::xml_node& node) { return std::string(trim(node.text().get())); }

// When an action happens: days after the last change, or on a date.
struct When {
  enum class Kind { none, days, date } kind = Kind::none;
  int days = 0;
};

OssExpected<When> when_of(const pugi::xml_node& action) {
  if (pugi::xml_node days = action.child("Days")) {
    std::string text = text_of(days);
    int value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1) return invalid_argument("Days must be a positive integer.", "Days", text);
    return When{When::Kind::days, value};
  }
  for (const char* name : {"CreatedBeforeDate", "Date"}) {
    pugi::xml_node date = action.child(name);
    if (!date) continue;
    if (!parse_iso8601(text_of(date))) return malformed_xml();
    return When{When::Kind::date, 0};
  }
  return When{};
}

OssExpected<void> check_transitions(const pugi::xml_node& rule, const When& expiration) {
  std::map<int, int> days_of;  // coldness -> days
  for (pugi::xml_node transition : rule.children("Transition")) {
    MAYFLY_TRY(When when, when_of(transition));
    std::string storage_class = text_of(transition.child("StorageClass"));
    int cold = coldness(storage_class);
    if (cold < 0) return invalid_argument("The storage class is not valid for a transition.", "StorageClass", storage_class);
    if (when.kind == When::Kind::none) return malformed_xml();
    if (expiration.kind != When::Kind::none && expiration.kind != when.kind) {
      return refuse(400, "InvalidRequest", "Expiration and transition must both use days or both use dates.");
    }
    if (when.kind != When::Kind::days) continue;
    if (expiration.kind == When::Kind::days && expiration.days <= when.days) {
      return invalid_argument("Days in the Expiration action must be greater than Days in the Transition action.", "Days", std::to_string(when.days));
    }
    days_of[cold] = when.days;
  }
  int last = 0;
  for (const auto& [cold, days] : days_of) {
    if (days <= last) return invalid_argument("Days of a transition to a colder class must be greater.", "Days", std::to_string(days));
    last = days;
  }
  return {};
}

OssExpected<void> check_rule(pugi::xml_node rule) {
  std::string status = text_of(rule.child("Status"));
  if (status != "Enabled" && status != "Disabled") return malformed_xml();
  if (!rule.child("Prefix")) rule.prepend_child("Prefix");
  MAYFLY_TRY(When expiration, when_of(rule.child("Expiration")));
  bool markers = !rule.child("Expiration").child("ExpiredObjectDeleteMarker").empty();
  if (rule.child("Expiration") && expiration.kind == When::Kind::none && !markers) return malformed_xml();
  MAYFLY_TRY_VOID(check_transitions(rule, expiration));
  if (pugi::xml_node abort = rule.child("AbortMultipartUpload")) {
    MAYFLY_TRY(When when, when_of(abort));
    if (when.kind == When::Kind::none) return malformed_xml();
  }
  for (pugi::xml_node tag : rule.children("Tag")) {
    // A tag longer than any object's can be is accepted: such a rule matches nothing. Characters that no tag may have are not.
    if (text_of(tag.child("Key")).empty()) return malformed_xml();
    for (std::string_view part : {std::string_view(tag.child("Key").text().get()), std::string_view(tag.child("Value").text().get())}) {
      for (char c : part) {
        if (!check_object_tags({{std::string(1, c), {}}})) return invalid_argument("The tag is not valid.", "Tag", std::string(part));
      }
    }
  }
  return {};
}

}  // namespace

OssExpected<std::string> check_lifecycle(std::string_view text) {
  auto document = parse_xml(text, "LifecycleConfiguration");
  if (!document) return malformed_xml();
  pugi::xml_node root = document->document_element();
  std::set<std::string> ids;
  size_t count = 0;
  for (pugi::xml_node rule : root.children("Rule")) {
    if (++count > kMaxRules) return malformed_xml();
    MAYFLY_TRY_VOID(check_rule(rule));
    if (text_of(rule.child("ID")).empty()) {
      // A rule without a name gets one that depends on its place and content only.
      rule.remove_child("ID");
      rule.prepend_child("ID").text().set(hex_encode(md5(fmt::format("{} {}", count, to_markup(rule)))).c_str());
    }
    if (!ids.insert(text_of(rule.child("ID"))).second) return invalid_argument("Rule ID must be unique.", "ID", text_of(rule.child("ID")));
  }
  if (count == 0) return malformed_xml();
  return to_markup(root);
}

}  // namespace mayfly::dialects::aliyun
