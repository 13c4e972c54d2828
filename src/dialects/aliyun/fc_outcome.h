#pragma once
// What calls through the API and through HTTP triggers have in common: the invocation they become, and the headers that tell of its outcome.

#include "dialects/aliyun/fc_call.h"

namespace mayfly::dialects::aliyun {

// Takes the call's bytes as payload.
dispatch::Invocation invocation_of(FcCall& call, std::string_view source, std::string http);
void add_outcome_headers(http::Headers& headers, const FcCall& call, const dispatch::Outcome& outcome);

}  // namespace mayfly::dialects::aliyun
