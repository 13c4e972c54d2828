#pragma once
// What the runtime API of each contract says, as pure functions: the head of a call as the program gets it, the shape of errors, and the
// answers to the program. FC: aliyun-fc.md 5.5, /2020-11-11. Lambda: the vendor's runtime API, /2018-06-01. SCF: tencent-scf.md T1.3-T1.9.

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "runtime/instance.h"
#include "runtime/runtimes.h"

namespace mayfly::runtime {

// FC hands its hooks out as calls; the number is x-fc-function-type. Other contracts know only the first.
enum class CallType { handle = 0, initializer = 1, pre_stop = 2, pre_freeze = 3 };

constexpr size_t kMaxScfReplyBytes = 6 << 20;  // T1.4; 407 beyond
constexpr size_t kMaxErrorBytes = 1 << 20;     // of an error's body, with its stack

size_t max_reply_bytes(Contract contract);  // of a reply that is taken whole

// The head of a call. `deadline_ms` is wall time, since 1970.
http::Headers call_head(Contract contract, const StartContext& context, const Call& call, CallType type, int64_t deadline_ms);
// An ARN as Lambda's programs expect one; the service is not in it, for they have no such thing.
std::string lambda_arn(const StartContext& context);
std::string lambda_version(const functions::Runnable& runnable);  // "$LATEST" or a number

// The body of an error that is ours to tell: {errorMessage, errorType}, for SCF with its code (T3.1).
std::string own_error(Contract contract, int scf_code, std::string_view type, std::string_view message);

// The body of a reported error as callers get it: the program's own JSON object, else its text in one.
std::string reported_error(Contract contract, std::string body, std::string_view type = {});
// The error that a Lambda reply ended with, told in its trailers; nullopt: it ended well.
std::optional<std::string> trailing_error(const http::Headers& trailers);

// The bodies of replies to calls that got none, in Lambda's and SCF's words; FC's are the dispatcher's.
void word_death(Contract contract, const std::string& request_id, Reply& reply);
void word_timeout(Contract contract, const std::string& request_id, int64_t timeout_s, int64_t wall_us, Reply& reply);

// Answers to the program: FC and SCF 200, Lambda 202; and {errorMessage, errorType}.
http::Response api_accepted(Contract contract);
http::Response api_refused(int status, std::string_view type, std::string_view message);

}  // namespace mayfly::runtime
