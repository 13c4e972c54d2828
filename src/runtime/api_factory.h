#pragma once
// The executor of programs that ask for their calls (DESIGN 3, "runtime-api"): Go programs of FC's and Lambda's SDKs, custom bootstraps of
// Lambda and SCF. One instance is one sandbox with the function's program; its API (api_link.h) answers on a port inside.
// A start is over when the program asks for its first call (FC, Lambda) or says it is ready (SCF); FC's initializer runs then, as a call.

#include <memory>

#include "base/rng.h"
#include "runtime/api_server.h"
#include "runtime/host.h"

namespace mayfly::runtime {

class ApiFactory final : public InstanceFactory {
 public:
  explicit ApiFactory(Host& host) : host_(host), server_(host.shard()) {}
  ~ApiFactory() override = default;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  io::Task<void> forget(std::string key, uint64_t revision) override;
  io::Task<void> stop() override { return server_.drain(); }

 private:
  struct Launched {
    std::shared_ptr<Box> box;
    std::unique_ptr<io::Listener> listener;  // of the API
    std::string instance_id;
  };
  io::Task<Expected<Launched, StartError>> launch(StartContext context, Contract contract);
  // `phases` gets what passes until it ends, however it ends.
  io::Task<Expected<void, StartError>> begin(std::shared_ptr<ApiLink> link, StartContext context, Contract contract, StartPhases& phases);
  io::Task<Expected<void, StartError>> initialize(std::shared_ptr<ApiLink> link, StartContext context);

  Host& host_;
  ApiServer server_;
};

}  // namespace mayfly::runtime
