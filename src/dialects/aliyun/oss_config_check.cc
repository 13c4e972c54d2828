#include <charconv>

#include "auth/policy.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/json.h"
#include "dialects/aliyun/oss_config.h"
#include "dialects/aliyun/oss_cors.h"
#include "dialects/aliyun/oss_xml.h"

namespace mayfly::dialects::aliyun {
namespace {

std::string text_of(const pugi::xml_node& node) { return std::string(trim(node.text().get())); }

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_boolean(std::string_view text) { return text == "true" || text == "false"; }

void set_default(pugi::xml_node root, const char* name, const char* value) {
  if (!root.child(name)) root.append_child(name).text().set(value);
}

// Python clients write True and False and insist on reading true and false.
void lower_boolean(pugi::xml_node parent, const char* name) {
  pugi::xml_node node = parent.child(name);
  std::string value = lower(text_of(node));
  if (is_boolean(value)) node.text().set(value.c_str());
}

// What the service makes of a redirect: for a mirror, one flag rules the query string both ways.
void settle_redirect(pugi::xml_node redirect) {
  for (const char* name : {"PassQueryString", "MirrorPassQueryString", "MirrorFollowRedirect", "MirrorCheckMd5", "EnableReplacePrefix",
                           "MirrorPassOriginalSlashes", "MirrorSNI"}) {
    lower_boolean(redirect, name);
  }
  lower_boolean(redirect.child("MirrorHeaders"), "PassAll");
  pugi::xml_node mirror = redirect.child("MirrorPassQueryString");
  if (text_of(redirect.child("RedirectType")) != "Mirror" || !mirror) return;
  pugi::xml_node pass = redirect.child("PassQueryString") ? redirect.child("PassQueryString") : redirect.append_child("PassQueryString");
  pass.text().set(mirror.text().get());
}

std::unexpected<OssError> invalid(const std::string& name, const std::string& value) {
  return invalid_argument(fmt::format("The value of {} is not valid.", name), name, value);
}

}  // namespace

OssExpected<std::string> check_cors(std::string_view text) {
  constexpr size_t kMaxRules = 20;
  auto document = parse_xml(text, "CORSConfiguration");
  if (!document) return malformed_xml();
  pugi::xml_node root = document->document_element();
  size_t rules = 0;
  for (pugi::xml_node rule : root.children("CORSRule")) {
    ++rules;
    if (!rule.child("AllowedOrigin") || !rule.child("AllowedMethod")) return malformed_xml();
    for (pugi::xml_node method : rule.children("AllowedMethod")) {
      constexpr std::string_view kMethods[] = {"GET", "PUT", "DELETE", "POST", "HEAD"};
      if (std::ranges::find(kMethods, text_of(method)) == std::end(kMethods)) return invalid("AllowedMethod", text_of(method));
    }
    for (const char* name : {"AllowedOrigin", "AllowedHeader"}) {
      for (pugi::xml_node node : rule.children(name)) {
        std::string value = text_of(node);
        if (value.empty() || std::ranges::count(value, '*') > 1) return invalid(name, value);
      }
    }
    if (pugi::xml_node age = rule.child("MaxAgeSeconds")) {
      std::optional<int64_t> seconds = number(text_of(age));
      if (!seconds || *seconds < 0 || *seconds > 999'999'999) return invalid("MaxAgeSeconds", text_of(age));
    }
  }
  if (rules == 0 || rules > kMaxRules) return malformed_xml();
  set_default(root, "ResponseVary", "false");
  return to_markup(root);
}

OssExpected<std::string> check_logging(std::string_view text) {
  auto document = parse_xml(text, "BucketLoggingStatus");
  if (!document) return malformed_xml();
  pugi::xml_node enabled = document->document_element().child("LoggingEnabled");
  if (enabled && !enabled.child("TargetBucket")) return malformed_xml();
  return to_markup(document->document_element());
}

OssExpected<std::string> check_referer(std::string_view text) {
  auto document = parse_xml(text, "RefererConfiguration");
  if (!document) return malformed_xml();
  pugi::xml_node root = document->document_element();
  if (!is_boolean(text_of(root.child("AllowEmptyReferer")))) return malformed_xml();
  set_default(root, "AllowTruncateQueryString", "true");
  if (!root.child("RefererList")) root.append_child("RefererList");
  return to_markup(root);
}

OssExpected<std::string> check_website(std::string_view text) {
  auto document = parse_xml(text, "WebsiteConfiguration");
  if (!document) return malformed_xml();
  pugi::xml_node root = document->document_element();
  if (!root.child("IndexDocument") && !root.child("ErrorDocument") && !root.child("RoutingRules")) {
    return invalid_argument("The website configuration is empty.", "WebsiteConfiguration", "");
  }
  if (pugi::xml_node index = root.child("IndexDocument"); index && text_of(index.child("Suffix")).empty()) return invalid("Suffix", "");
  if (pugi::xml_node error = root.child("ErrorDocument"); error && text_of(error.child("Key")).empty()) return invalid("Key", "");
  for (pugi::xml_node rule : root.child("RoutingRules").children("RoutingRule")) {
    if (!rule.child("RuleNumber") || !rule.child("Redirect")) return malformed_xml();
    settle_redirect(rule.child("Redirect"));
  }
  return to_markup(root);
}

OssExpected<std::string> check_encryption(std::string_view text) {
  auto document = parse_xml(text, "ServerSideEncryptionRule");
  if (!document) return malformed_xml();
  pugi::xml_node rule = document->document_element().child("ApplyServerSideEncryptionByDefault");
  if (!rule) return malformed_xml();
  std::string algorithm = text_of(rule.child("SSEAlgorithm"));
  if (algorithm != "AES256" && algorithm != "KMS" && algorithm != "SM4") {
    return refuse(400, "InvalidEncryptionAlgorithmError", "The Encryption Algorithm you specified is not valid.");
  }
  std::string key = text_of(rule.child("KMSMasterKeyID"));
  if (algorithm != "KMS" && !key.empty()) return invalid_argument("KMSMasterKeyID is not applicable if user is using " + algorithm, "KMSMasterKeyID", key);
  if (key.empty()) rule.remove_child("KMSMasterKeyID");
  if (text_of(rule.child("KMSDataEncryption")).empty()) rule.remove_child("KMSDataEncryption");
  return to_markup(document->document_element());
}

OssExpected<std::string> check_bucket_tagging(std::string_view text) {
  constexpr size_t kMaxBucketTags = 20;
  auto tags = parse_tagging(text);
  if (!tags) return malformed_xml();
  if (tags->size() > kMaxBucketTags) return refuse(400, "BadRequest", "Bucket tags cannot be greater than 20");
  std::set<std::string> seen;
  for (const auto& [key, value] : *tags) {
    if (key.empty() || key.size() > 64 || value.size() > 128) return refuse(400, "InvalidTag", "The tag you have provided is invalid");
    if (!seen.insert(key).second) return refuse(400, "InvalidTag", "Cannot provide multiple Tags with the same key");
  }
  return to_markup(parse_xml(text, "Tagging")->document_element());
}

OssExpected<std::string> check_policy(std::string_view text) {
  if (auto document = parse_json(text); !document || !document->is_object()) {
    return refuse(400, "InvalidPolicyDocument", "Policy document is invalid json format.");
  }
  auto policy = auth::parse_policy(text);
  if (!policy) return refuse(400, "InvalidPolicyDocument", policy.error().message);
  return std::string(text);
}

OssExpected<std::string> check_request_payment(std::string_view text) {
  auto document = parse_xml(text, "RequestPaymentConfiguration");
  if (!document) return malformed_xml();
  std::string payer = text_of(document->document_element().child("Payer"));
  if (payer != "BucketOwner" && payer != "Requester") return invalid("Payer", payer);
  return to_markup(document->document_element());
}

OssExpected<std::string> check_user_qos(std::string_view text) {
  auto document = parse_xml(text, "BucketUserQos");
  if (!document) return malformed_xml();
  std::string capacity = text_of(document->document_element().child("StorageCapacity"));
  std::optional<int64_t> gigabytes = number(capacity);
  if (!gigabytes || *gigabytes < -1) return invalid("StorageCapacity", capacity);
  return to_markup(document->document_element());
}

OssExpected<std::string> check_notification(std::string_view text) {
  auto document = parse_xml(text, "NotificationConfiguration");
  if (!document) return malformed_xml();
  return to_markup(document->document_element());
}

}  // namespace mayfly::dialects::aliyun
