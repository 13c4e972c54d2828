#pragma once
// How a command fails. Every failure has a kind, which is also the process's exit code, so that scripts can tell a function that
// failed from a server that is down. A refusal by the server keeps what the vendor's protocol said: status, code, request id.

#include <string>

#include "base/result.h"

namespace mayfly::cli {

enum class Kind {
  function_failed = 1,  // the function or flow ran and reported an error
  usage = 2,            // the command line, a template or another input is wrong
  unreachable = 3,      // no server answers at the endpoint
  refused = 4,          // the server answered with an error
  local = 5,            // a local file, process or kernel facility
};

constexpr std::string_view kExitCodes =
    "Exit codes: 0 done, 1 the function or flow failed, 2 wrong usage or input, 3 no server at the endpoint,\n"
    "            4 the server refused, 5 a local file or kernel facility failed.";

struct Refusal {
  Kind kind = Kind::usage;
  int status = 0;          // HTTP status, for Kind::refused
  std::string code;        // the vendor's error code: "ServiceNotFound"
  std::string request_id;
};

template <class T>
using Result = Expected<T, Refusal>;

inline std::unexpected<Failure<Refusal>> fail(Kind kind, std::string message, std::string hint = {}) {
  return std::unexpected(Failure<Refusal>{{kind, 0, {}, {}}, std::move(message), std::move(hint)});
}

// True if the server said that the thing asked for does not exist.
inline bool is_missing(const Failure<Refusal>& failure) { return failure.code.kind == Kind::refused && failure.code.status == 404; }

}  // namespace mayfly::cli
