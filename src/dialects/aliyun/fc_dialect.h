#pragma once
// Function Compute's REST API of 2016-08-15 (aliyun-fc.md sections 6, 7, 10), and that of 2021-04-06, which differs in two spellings:
// the qualifier is a query parameter and triggerConfig is JSON text. Also the HTTP triggers at /<version>/proxy/ and the custom domains
// that lead to them. A request is: route (fc_routes.cc) -> signature -> policy -> body -> operation -> JSON; errors are
// {"ErrorCode", "ErrorMessage"}; every answer carries X-Fc-Request-Id. Holds no state: one object serves every shard.

#include <functional>
#include <string>

#include "auth/access.h"
#include "auth/keyring.h"
#include "base/rng.h"
#include "dispatch/async.h"
#include "dispatch/dispatcher.h"
#include "dispatch/streamed.h"
#include "functions/catalogue.h"
#include "functions/layers.h"
#include "functions/settings.h"
#include "gateway/router.h"

namespace mayfly::dialects::aliyun {

// Where `ossBucketName` and `ossObjectName` of a package lead, and where clients put packages that are too large for a request.
enum class FetchError { not_found, too_large, failed };
class ObjectFetcher {
 public:
  virtual ~ObjectFetcher() = default;
  // The object, of at most `limit` bytes.
  virtual io::Task<Expected<std::unique_ptr<http::Body>, FetchError>> fetch(io::Loop& loop, std::string bucket, std::string key, uint64_t limit) = 0;
  // A reserved bucket, and credentials that may put exactly `key` there, for kUploadSeconds.
  struct Place {
    std::string bucket;
    auth::Credentials credentials;
  };
  virtual io::Task<Place> upload_place(io::Loop& loop, std::string key) = 0;
  // The object was taken over: nothing more is needed of it if it stands in the reserved bucket.
  virtual io::Task<void> taken(io::Loop& loop, std::string bucket, std::string key) = 0;
  virtual bool is_reserved(const std::string& bucket) const = 0;
};
constexpr int64_t kUploadSeconds = 3'600;  // 5 GiB at 1.5 MB/s; what was put and never taken goes after twice this time

struct FcContext {
  functions::Catalogue& catalogue;
  functions::Settings& settings;
  functions::CodeStore& code;
  functions::Layers& layers;
  dispatch::Dispatcher& invoker;
  dispatch::AsyncInvoker& async;
  const auth::Keyring& keyring;
  const auth::Authorizer& authorizer;
  ObjectFetcher& objects;
  const Clock& clock;
  Rng& rng;  // safe from every shard
  std::string region;
  // Who is asking; empty means auth::verify_fc. Tests put their own.
  std::function<auth::Result<auth::Identity>(const http::Request&)> verify{};
  // For HTTP triggers whose bodies and answers stream; null: all is passed on whole.
  dispatch::StreamedCalls* streams = nullptr;
};

class FcDialect final : public gateway::Dialect {
 public:
  explicit FcDialect(FcContext context);
  std::string_view name() const override { return "aliyun-fc"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override;
  http::Response fault() const override;

  // True for what handle() understands: the API's paths, and any path on a custom domain.
  bool claims(const http::Request& request) const;

 private:
  const FcContext context_;
};

}  // namespace mayfly::dialects::aliyun
