#include "base/check.h"
#include "base/json.h"
#include "runtime/api_codec.h"
#include "runtime/api_http.h"

// Whatever a program puts into its answers, what is taken of it is a status from 200 to 599 and lists of text by name.
namespace {

void check_http(const std::string& http) {
  auto read = mayfly::parse_json(http);
  MAYFLY_CHECK(read.has_value());
  int64_t status = mayfly::int_or(*read, "status");
  MAYFLY_CHECK(status >= 200 && status <= 599);
  for (const auto& [name, values] : mayfly::find(*read, "headers")->get_object())
    for (const auto& value : values.get_array()) MAYFLY_CHECK(value.is_string());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly::runtime;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto http = fc_http_answer(text)) check_http(*http);
  if (auto prelude = lambda_prelude(text)) {
    check_http(prelude->http);
    MAYFLY_CHECK(prelude->size <= size);
  }
  if (auto result = http_result(std::string(text))) check_http(result->http);
  for (Contract contract : {Contract::fc, Contract::lambda, Contract::scf})
    MAYFLY_CHECK(mayfly::parse_json(reported_error(contract, std::string(text))).has_value());
  mayfly::http::Headers trailers;
  trailers.add("Lambda-Runtime-Function-Error-Body", std::string(text));
  MAYFLY_CHECK(trailing_error(trailers).has_value());
  return 0;
}
