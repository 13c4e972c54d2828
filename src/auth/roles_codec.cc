#include "auth/roles_codec.h"

namespace mayfly::auth {
namespace {

constexpr int64_t kFormat = 1;

std::optional<json::value> open(std::string_view text) {
  auto value = parse_json(text);
  if (!value || int_or(*value, "format") != kFormat || string_or(*value, "name").empty()) return std::nullopt;
  return std::move(*value);
}

const json::array& list(const json::value& value, std::string_view key) {
  static const json::array kNone;
  const json::value* found = find(value, key);
  return found != nullptr && found->is_array() ? found->get_array() : kNone;
}

}  // namespace

std::string encode_role(const Role& role) {
  json::array attached;
  for (const auto& one : role.attached)
    attached.push_back(json::object{{"kind", one.kind == PolicyKind::system ? "system" : "custom"}, {"name", one.name}, {"attached_us", one.attached_us}});
  json::object documents;
  for (const auto& [name, document] : role.inline_documents) documents[name] = document;
  return to_text(json::object{{"format", kFormat}, {"name", role.name}, {"id", role.id}, {"description", role.description}, {"trust", role.trust_document},
                              {"max_session_s", role.max_session_s}, {"created_us", role.created_us}, {"updated_us", role.updated_us}, {"attached", attached},
                              {"inline", documents}});
}

std::string encode_policy(const Policy& policy) {
  json::array versions;
  for (const auto& one : policy.versions) versions.push_back(json::object{{"id", one.id}, {"document", one.document}, {"created_us", one.created_us}});
  return to_text(json::object{{"format", kFormat},
                              {"name", policy.name},
                              {"description", policy.description},
                              {"default", policy.default_version},
                              {"next_version", policy.next_version},
                              {"created_us", policy.created_us},
                              {"updated_us", policy.updated_us},
                              {"versions", versions}});
}

std::optional<Role> decode_role(std::string_view text) {
  auto value = open(text);
  if (!value) return std::nullopt;
  Role role{.name = string_or(*value, "name"),
            .id = string_or(*value, "id"),
            .description = string_or(*value, "description"),
            .trust_document = string_or(*value, "trust"),
            .max_session_s = int_or(*value, "max_session_s", 3600),
            .created_us = int_or(*value, "created_us"),
            .updated_us = int_or(*value, "updated_us")};
  for (const auto& one : list(*value, "attached"))
    role.attached.push_back({string_or(one, "kind") == "system" ? PolicyKind::system : PolicyKind::custom, string_or(one, "name"), int_or(one, "attached_us")});
  if (const json::value* documents = find(*value, "inline"); documents != nullptr && documents->is_object())
    for (const auto& member : documents->get_object()) role.inline_documents[member.key()] = string_or(*documents, member.key());
  return role;
}

std::optional<Policy> decode_policy(std::string_view text) {
  auto value = open(text);
  if (!value) return std::nullopt;
  Policy policy{.name = string_or(*value, "name"), .description = string_or(*value, "description"), .default_version = string_or(*value, "default"),
                .next_version = int_or(*value, "next_version", 1), .created_us = int_or(*value, "created_us"), .updated_us = int_or(*value, "updated_us")};
  for (const auto& one : list(*value, "versions")) policy.versions.push_back({string_or(one, "id"), string_or(one, "document"), int_or(one, "created_us")});
  return policy;
}

}  // namespace mayfly::auth
