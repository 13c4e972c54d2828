#pragma once
// Packages that stand in buckets, for the dialects that take them by name: any bucket's objects, and a reserved bucket in which a client
// may put one package at a time under a name it was given, with credentials that can do nothing else. What was taken over is removed; what
// was put and never taken is removed when the next client asks for a place.

#include "auth/keyring.h"
#include "auth/roles.h"
#include "dialects/aliyun/fc_dialect.h"
#include "objects/buckets.h"

namespace mayfly::server {

class PackageBucket final : public dialects::aliyun::ObjectFetcher {
 public:
  struct Rooms {
    objects::Objects& objects;
    objects::Buckets& buckets;
    auth::Roles& roles;
    const auth::Keyring& keyring;
    const Clock& clock;
    Rng& rng;
  };
  explicit PackageBucket(Rooms rooms);

  io::Task<Expected<std::unique_ptr<http::Body>, dialects::aliyun::FetchError>> fetch(io::Loop& loop, std::string bucket, std::string key, uint64_t limit) override;
  io::Task<Place> upload_place(io::Loop& loop, std::string key) override;
  io::Task<void> taken(io::Loop& loop, std::string bucket, std::string key) override;
  bool is_reserved(const std::string& bucket) const override { return bucket == bucket_; }

 private:
  io::Task<void> remove_forgotten(io::Loop& loop);

  Rooms rooms_;
  const std::string bucket_;
};

}  // namespace mayfly::server
