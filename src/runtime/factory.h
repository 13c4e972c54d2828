#pragma once
// The InstanceFactory of a shard: sends each function to the executor of its runtime (runtimes.h). See instance.h.

#include <memory>

#include "runtime/host.h"

namespace mayfly::runtime {

class Factory final : public InstanceFactory {
 public:
  Factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng);
  ~Factory() override;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  void expect(const functions::Runnable& runnable) override;
  size_t ready() const override;
  void abandon_starts() override { host_.abandon_starts(); }
  io::Task<void> forget(std::string key, uint64_t revision) override;
  io::Task<void> stop() override;

 private:
  InstanceFactory* executor_of(const functions::Function& function);

  Host host_;
  std::unique_ptr<InstanceFactory> zygotes_, framed_, http_, api_, stdio_;
};

}  // namespace mayfly::runtime
