#pragma once
// How roles and policies lie in the store: one JSON document each, format 1. A reader ignores members it does not know. Internal to auth/.

#include <optional>
#include <string>
#include <string_view>

#include "auth/roles.h"

namespace mayfly::auth {

std::string encode_role(const Role& role);
std::string encode_policy(const Policy& policy);
std::optional<Role> decode_role(std::string_view text);      // nullopt if it is not ours
std::optional<Policy> decode_policy(std::string_view text);

}  // namespace mayfly::auth
