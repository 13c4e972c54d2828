#include "server/egress_api.h"

#include <algorithm>

#include "functions/egress.h"
#include "server/native_reply.h"

namespace mayfly::server {
namespace {

std::string text_of(const functions::EgressRule& rule) { return fmt::format("{}:{}", rule.host, rule.port); }

// What is granted after the wishes of `query`, or why not.
functions::Result<std::vector<std::string>> granted_after(std::vector<std::string> granted, const http::Query& query) {
  for (const auto& [name, value] : query) {
    if (name == "deny" && value == "all") {
      granted.clear();
    } else if (name == "allow" || name == "deny") {
      MAYFLY_TRY(functions::EgressRule rule, functions::parse_egress(std::string_view(value)));
      std::erase(granted, text_of(rule));
      if (name == "allow") granted.push_back(text_of(rule));
    } else {
      return fail(functions::CatalogueError::invalid, fmt::format("\"{}\" is neither allow nor deny", name));
    }
  }
  MAYFLY_TRY(auto rules, functions::parse_egress(granted));
  return granted;
}

}  // namespace

io::Task<http::Response> EgressApi::handle(io::Loop& loop, std::string method, std::string service, std::string function, http::Query query) {
  auto found = catalogue_.function(service, "", function);
  if (!found) co_return error(404, "FunctionNotFound", found.error().message);
  if (method == "PUT") {
    auto wanted = granted_after(found->egress, query);
    if (!wanted) co_return error(400, "InvalidArgument", wanted.error().hint.empty() ? wanted.error().message : wanted.error().message + ": " + wanted.error().hint);
    functions::Function changed = *found;
    changed.egress = std::move(*wanted);
    found = co_await catalogue_.update_function(loop, std::move(changed), functions::etag(*found));
    if (!found && found.error().code == functions::CatalogueError::precondition) co_return error(409, "Conflict", "the function was changed meanwhile: try again");
    if (!found) co_return error(400, "InvalidArgument", found.error().message);
  } else if (method != "GET") {
    co_return error(405, "MethodNotAllowed", "egress answers GET and PUT");
  }
  co_return reply(200, json::object{{"egress", json::value_from(found->egress)}});
}

}  // namespace mayfly::server
