#pragma once
// How Mayfly says that something did not work (DESIGN 4.11). Three kinds, three mechanisms:
//   an outcome a caller can provoke     -> Expected<T, E>: E is the room's enum, with a sentence and a hint;
//   a fault of the environment          -> an exception (sys::Fault), caught once at the root of a request or task;
//   a bug                               -> MAYFLY_CHECK (base/check.h), which names its operands and aborts.

#include <expected>
#include <string>
#include <utility>

namespace mayfly {

// Why an operation was refused. `message` says what happened, in one sentence a user can read; `hint` what to do, may be empty.
template <class Code>
struct Failure {
  Code code;
  std::string message;
  std::string hint;
};

template <class T, class Code>
using Expected = std::expected<T, Failure<Code>>;

template <class Code>
[[nodiscard]] std::unexpected<Failure<Code>> fail(Code code, std::string message, std::string hint = {}) {
  return std::unexpected(Failure<Code>{code, std::move(message), std::move(hint)});
}

}  // namespace mayfly

#define MAYFLY_CONCAT_(a, b) a##b
#define MAYFLY_CONCAT(a, b) MAYFLY_CONCAT_(a, b)

// MAYFLY_TRY(auto value, expression): unwraps an Expected or returns its failure. The CO_ form is for coroutines.
#define MAYFLY_TRY_(keyword, name, declaration, ...) \
  auto name = (__VA_ARGS__);                         \
  if (!name) keyword std::unexpected(std::move(name).error()); \
  declaration = std::move(*name)
#define MAYFLY_TRY(declaration, ...) MAYFLY_TRY_(return, MAYFLY_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)
#define MAYFLY_CO_TRY(declaration, ...) MAYFLY_TRY_(co_return, MAYFLY_CONCAT(try_, __LINE__), declaration, __VA_ARGS__)

// The same for Expected<void, E>, where there is nothing to declare.
#define MAYFLY_TRY_VOID(...) \
  if (auto result = (__VA_ARGS__); !result) return std::unexpected(std::move(result).error())
#define MAYFLY_CO_TRY_VOID(...) \
  if (auto result = (__VA_ARGS__); !result) co_return std::unexpected(std::move(result).error())
