#pragma once
// Triggers: turns the catalogue's "timer" and "oss" triggers and the flows' schedules into deliveries. A delivery is an async
// invocation (or a flow start) whose message is written in the commit of what caused it: the tick, or the object's new version.
// Event payloads follow aliyun-fc.md section 11.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "dispatch/invoker.h"
#include "functions/catalogue.h"
#include "objects/objects.h"

namespace mayfly::events {

// Adds the message of one async invocation to a batch, so that it is delivered if and only if the batch commits.
using Deliver = std::function<void(store::Batch& batch, dispatch::Invocation invocation)>;

struct OssRule {
  std::string service, function, trigger, qualifier, bucket;
  std::vector<std::string> events;  // "oss:ObjectCreated:PutObject", "oss:ObjectCreated:*", ...
  std::string prefix, suffix;
};

// The rule of a trigger whose config is {events[], filter{key{prefix, suffix}}}; keys in any case.
OssRule oss_rule(const functions::Trigger& trigger);
bool matches(const OssRule& rule, const std::string& event_name, const std::string& bucket, const std::string& key);

// The event name of a change, without "oss:": "ObjectCreated:PutObject".
std::string event_name(objects::Change::Kind kind);
std::string oss_event(const OssRule& rule, const objects::Change& change, const std::string& account, const std::string& region, int64_t wall_us);
std::string timer_event(const std::string& trigger, const std::string& payload, int64_t tick_us);

// Listens to object changes and adds a delivery for every matching rule. Safe from any shard: rules are an immutable snapshot.
class ObjectTriggers final : public objects::ChangeListener {
 public:
  struct Options {
    std::string account, region;
    Deliver deliver;
    std::function<void()> delivered;  // wakes the async consumers after the commit
  };
  ObjectTriggers(const functions::Catalogue& catalogue, const Clock& clock, Rng& rng, Options options)
      : catalogue_(catalogue), clock_(clock), rng_(rng), options_(std::move(options)) {}

  void reload();  // re-reads the catalogue's triggers; call after it changed
  void on_change(const objects::Change& change, store::Batch& batch) override;
  void committed() override { options_.delivered(); }

 private:
  const functions::Catalogue& catalogue_;
  const Clock& clock_;
  Rng& rng_;
  Options options_;
  std::atomic<std::shared_ptr<const std::vector<OssRule>>> rules_;
};

}  // namespace mayfly::events
