#include "dialects/aliyun/fc_dialect.h"

#include "auth/sign_acs3.h"
#include "auth/sign_fc.h"
#include "base/encoding.h"
#include "dialects/aliyun/endpoints.h"
#include "dialects/aliyun/fc_routes.h"

namespace mayfly::dialects::aliyun {
namespace {

std::string host_name(const http::Request& request) { return lower(std::string_view(request.host).substr(0, request.host.find(':'))); }

size_t body_limit(FcBody body) {
  switch (body) {
    case FcBody::none: return kMaxJsonBody;  // some clients send "{}" with a GET: read and ignored
    case FcBody::json:
    case FcBody::optional_json: return kMaxJsonBody;
    case FcBody::code: return kMaxCodeBody;
    case FcBody::event: return kMaxEventBody;
  }
  return kMaxJsonBody;
}

io::Task<FcExpected<void>> read_body(FcCall& call, FcBody kind) {
  auto bytes = co_await call.request.body->read_all(body_limit(kind));
  if (!bytes) {
    if (bytes.error() == http::BodyError::too_large)
      co_return refuse(400, "EntityTooLarge", fmt::format("the body is larger than {} bytes", body_limit(kind)));
    co_return invalid_argument("the body could not be read");
  }
  call.bytes = std::move(*bytes);
  // What was signed is the digest in a header: the body must be the one it announces.
  if (auth::carries_acs3_signature(call.request) && !auth::acs3_body_matches(call.request.headers, call.bytes))
    co_return refuse(400, "InvalidArgument", "the body is not the one that x-acs-content-sha256 announces");
  bool json = kind == FcBody::json || kind == FcBody::code || (kind == FcBody::optional_json && !call.bytes.empty());
  if (!json) co_return FcExpected<void>{};
  auto parsed = parse_json(call.bytes);  // whatever the content type says (section 3)
  if (!parsed) co_return invalid_argument("the body is not JSON: " + parsed.error().message);
  call.body = std::move(*parsed);
  if (kind == FcBody::code) call.bytes = "-";  // tens of megabytes, twice: only that there was a body matters from here
  co_return FcExpected<void>{};
}

// What the policy must allow the action on; a list, and what is about to be made, is "services/*", "layers/*" or "custom-domains/*" as a
// whole.
std::string resource_of(const FcCall& call, const FcRoute& route) {
  if (route.pattern.starts_with("custom-domains")) return call.arn("custom-domains/" + (call.item.empty() ? "*" : call.item));
  if (route.pattern.starts_with("layers")) return call.arn(call.item.empty() ? "layers/*" : "layers/" + call.item + "/versions" + (call.rest.empty() ? "/*" : call.rest));
  if (route.pattern.starts_with("layerarn")) return call.arn("layers/*");
  if (call.service.empty()) return call.arn(route.pattern.starts_with("services") ? "services/*" : "*");
  std::string resource = "services/" + call.service + (call.function.empty() ? "" : "/functions/" + call.function);
  if (route.pattern.find("/stateful-async-invocations") != route.pattern.npos) resource += "/stateful-async-invocations/" + (call.item.empty() ? "*" : call.item);
  return call.arn(resource);
}

// A call that would find the line full is told so before its body takes memory.
FcExpected<void> check_room(const FcCall& call) {
  auto refused = call.context.invoker.crowded({call.service, call.function, call.qualifier});
  if (refused) return std::unexpected(fc_error(call, *refused));
  return {};
}

io::Task<FcAnswer> answer(FcCall& call) {
  if (auto domain = call.context.settings.lookup(kDomainDocument, host_name(call.request))) {
    call.version = "2016-08-15";
    if (!route_domain(call, *domain)) co_return refuse(404, "PathNotSupported", "no route of this domain leads there");
    if (auto admitted = fc_admit_proxy(call); !admitted) co_return std::unexpected(admitted.error());
    if (auto room = check_room(call); !room) co_return std::unexpected(room.error());
    if (!call.streams_body) {
      if (auto read = co_await read_body(call, FcBody::event); !read) co_return std::unexpected(read.error());
    }
    co_return co_await fc_proxy(call);
  }
  auto route = find_route(call);
  if (!route) co_return std::unexpected(route.error());
  if ((*route)->access == FcAccess::signed_) {
    auto identity = call.context.verify(call.request);
    if (!identity) co_return std::unexpected(fc_error(identity.error()));
    call.identity = *identity;
    const auth::Access access{std::string((*route)->action), resource_of(call, **route)};
    if (!call.context.authorizer.allows(call.identity, access))
      co_return refuse(403, "AccessDenied", fmt::format("the caller is not authorized to do {} on {}", access.action, access.resource));
  }
  if ((*route)->operation == fc_proxy) {
    if (auto admitted = fc_admit_proxy(call); !admitted) co_return std::unexpected(admitted.error());
  }
  bool waits_on_disk = (*route)->operation == fc_invoke && is_async(call);
  if ((*route)->body == FcBody::event && !waits_on_disk) {
    if (auto room = check_room(call); !room) co_return std::unexpected(room.error());
  }
  if (call.streams_body) co_return co_await fc_proxy(call);
  if (auto read = co_await read_body(call, (*route)->body); !read) co_return std::unexpected(read.error());
  co_return co_await (*route)->operation(call);
}

}  // namespace

FcDialect::FcDialect(FcContext context) : context_([&context] {
  if (!context.verify)
    context.verify = [&keyring = context.keyring, &clock = context.clock](const http::Request& request) { return auth::verify_fc(request, keyring, clock); };
  return std::move(context);
}()) {}

bool FcDialect::claims(const http::Request& request) const {
  return product_of(request) == Product::fc || context_.settings.lookup(kDomainDocument, host_name(request)) != nullptr;
}

io::Task<http::Response> FcDialect::handle(io::Loop& loop, http::Request request) {
  FcCall call{.context = context_, .loop = loop, .request = std::move(request), .query = {}, .version = {}, .request_id = uuid(context_.rng),
              .service = {}, .qualifier = {}, .function = {}, .item = {}, .rest = {}, .identity = {}, .bytes = {}, .body = {}};
  call.query = call.request.query();
  FcAnswer result = co_await answer(call);
  http::Response response = result ? std::move(*result) : error_response(result.error());
  response.headers.set("X-Fc-Request-Id", call.request_id);
  co_return response;
}

http::Response FcDialect::fault() const {
  http::Response response = error_response({500, "InternalServerError", std::string(gateway::kFaultMessage)});
  response.headers.set("X-Fc-Request-Id", uuid(context_.rng));
  return response;
}

}  // namespace mayfly::dialects::aliyun
