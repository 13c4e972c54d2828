#pragma once
// MAYFLY_CHECK(condition) and MAYFLY_CHECK_OP(a, <=, b): a broken invariant is a bug; say which and abort. Always on.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace mayfly {
[[noreturn]] void check_failed(std::string_view file, int line, std::string_view condition, const std::string& operands);
}

#define MAYFLY_CHECK(condition) \
  (static_cast<bool>(condition) ? void() : ::mayfly::check_failed(__FILE__, __LINE__, #condition, ""))
#define MAYFLY_CHECK_OP(a, op, b)                                                                     \
  do {                                                                                                \
    const auto& check_a = (a);                                                                        \
    const auto& check_b = (b);                                                                        \
    if (!(check_a op check_b))                                                                        \
      ::mayfly::check_failed(__FILE__, __LINE__, #a " " #op " " #b, fmt::format("{} vs {}", check_a, check_b)); \
  } while (false)
