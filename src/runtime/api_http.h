#pragma once
// HTTP requests that reach a function which asks for its calls, and its answers to them, in each contract's form. Between them stand
// Call::http and Reply::http (dispatch/invoker.h). Pure functions; what comes from the program is not to be trusted, and readers return
// nullopt for what they do not understand.
//   FC      the header x-fc-http-params beside the body, both ways (aliyun-fc.md 5.5)
//   Lambda  an event of the form that function URLs send ("payload format 2.0"); the result is {statusCode, headers, body,
//           isBase64Encoded, cookies} or simply the body; streamed, a prelude stands before the body
//   SCF     an event of the form that the API gateway sends (tencent-scf.md T2.1, T2.2); the result likewise (T2.3)

#include <optional>
#include <string>
#include <string_view>

#include "runtime/instance.h"
#include "runtime/runtimes.h"

namespace mayfly::runtime {

// Header names as Go's net/http spells them, since programs look them up so.
std::string fc_http_params(std::string_view http);
// The x-fc-http-params of an answer as Reply::http; status 0, nothing written, is 200.
std::optional<std::string> fc_http_answer(std::string_view params);

// The event for a call that has `http`; else its payload is the event.
std::string http_event(Contract contract, const StartContext& context, const Call& call, int64_t wall_us);
struct HttpResult {
  std::string http, body;
};
// nullopt: an object with a statusCode that makes no response.
std::optional<HttpResult> http_result(std::string result);

// What stands in front of a streamed reply of type kPreludeType: JSON {statusCode, headers, cookies}, then eight zero bytes.
struct Prelude {
  std::string http;  // as Reply::http
  size_t size = 0;   // with the zeros
};
constexpr std::string_view kPreludeType = "application/vnd.awslambda.http-integration-response";
constexpr std::string_view kPreludeEnd{"\0\0\0\0\0\0\0\0", 8};
constexpr size_t kMaxPreludeBytes = 64 << 10;  // as the headers of a response
std::optional<Prelude> lambda_prelude(std::string_view bytes);

// Reply::http of a reply that says no more than its type.
std::string plain_http(std::string_view content_type);

}  // namespace mayfly::runtime
