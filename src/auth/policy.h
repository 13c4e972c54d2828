#pragma once
// Policy documents and their evaluation, in the vendor's words:
//   {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:Get*" | [...], "Resource": "acs:oss:*:*:bkt/*" | [...], "Condition": {...}}]}
// Matching: `*` any text, `?` one character; actions compare without case; a resource's region and account, when the document leaves them
// empty or "*", match every request. Deny beats Allow; nothing said is no.
//
// Conditions: StringEquals, StringNotEquals, StringEqualsIgnoreCase, StringLike, StringNotLike, IpAddress, NotIpAddress over the keys in
// Access::context. A key the request does not have fails a positive operator. What cannot be judged (unknown operator, malformed address,
// a negative operator on an absent key) is read the safe way: an Allow does not match, a Deny does.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access.h"
#include "base/json.h"

namespace mayfly::auth {

constexpr size_t kMaxPolicyBytes = 16 * 1024;  // the vendor's limit of a bucket policy; of a custom policy it is 6 KiB
constexpr size_t kMaxStatements = 200;         // bounds one evaluation; 16 KiB cannot hold more useful ones

enum class Effect { allow, deny };
enum class Verdict { allowed, denied, silent };

enum class PolicyError { malformed };

struct Condition {
  std::string operation;  // lower case
  std::string key;        // lower case
  std::vector<std::string> values;
};

struct Statement {
  Effect effect = Effect::allow;
  std::vector<std::string> actions, not_actions;      // lower case; exactly one of the two is non-empty
  std::vector<std::string> resources, not_resources;  // likewise
  std::vector<std::string> principals;                // bucket and trust policies: as written; empty when the document names none
  std::vector<Condition> conditions;                  // all must hold
};

struct PolicyDocument {
  std::vector<Statement> statements;
};

// NeedsResource::no for trust policies, which have principals instead.
enum class NeedsResource { yes, no };
Expected<PolicyDocument, PolicyError> parse_policy(std::string_view text, NeedsResource needs = NeedsResource::yes);
Expected<PolicyDocument, PolicyError> policy_from_json(const json::value& document, NeedsResource needs = NeedsResource::yes);

// What one document says; `silent` when no statement matches. Principals are the caller's to judge: see statement_matches.
Verdict evaluate(const PolicyDocument& document, const Access& access);
bool statement_matches(const Statement& statement, const Access& access);

bool wildcard_matches(std::string_view pattern, std::string_view text);  // `*` and `?`; linear space, no recursion
bool resource_matches(std::string_view pattern, std::string_view resource);

// The document of a system policy: the named ones (AdministratorAccess, ReadOnlyAccess, AliyunFCInvocationAccess, ...), and by its name's
// form any "Aliyun<Product>FullAccess" ("product:*") and "Aliyun<Product>ReadOnlyAccess" (Get*, List*, Describe*, ...).
std::optional<std::string> system_policy(std::string_view name);
std::vector<std::string> system_policy_names();  // the named ones, sorted

}  // namespace mayfly::auth
