#pragma once
// OSS: Alibaba's object storage API over the objects room (aliyun-oss.md). Finds bucket and key in the path or the host, checks the
// signature, asks who may do what, and translates to Buckets, Objects and Uploads. Holds no state; one per process, any shard.
//
// Not spoken: image processing, versioning, live channels (their list is empty), server-side encryption (its configuration is kept, bytes
// are not encrypted and no answer claims so), bucket policies as a source of permission (they are kept and returned).

#include <functional>
#include <string>

#include "auth/access.h"
#include "auth/identity.h"
#include "gateway/router.h"
#include "objects/buckets.h"
#include "objects/uploads.h"

namespace mayfly::dialects::aliyun {

struct OssContext {
  objects::Buckets& buckets;
  objects::Objects& objects;
  objects::Uploads& uploads;
  const auth::Authorizer& authorizer;
  // Whose request this is, given its decoded bucket and key (auth/sign_oss.h); an unsigned request is anonymous.
  std::function<auth::Result<auth::Identity>(const http::Request&, const std::string& bucket, const std::string& key)> verify;
  // ... and whose upload form, from its fields.
  std::function<auth::Result<auth::Identity>(const http::Query& fields)> verify_form;
  const Clock& clock;
  Rng& rng;
  std::string account;          // numeric id of the account that owns every bucket
  std::string region;           // "cn-hangzhou": locations read "oss-cn-hangzhou"
  std::string public_endpoint;  // host[:port] under which clients reach this server; empty: the Host each request names
};

class OssDialect final : public gateway::Dialect {
 public:
  explicit OssDialect(OssContext context) : context_(std::move(context)) {}
  std::string_view name() const override { return "oss"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override;
  http::Response fault() const override;

 private:
  OssContext context_;
};

}  // namespace mayfly::dialects::aliyun
