#pragma once
// The executor of functions that are a process per request (openfaas.md section 16: classic watchdog, of-watchdog's streaming and
// serializing modes): each instance is a sandbox with the runner in it (stdio_runner.h), which speaks frames as programs of sdk/ do.

#include <memory>
#include <string>

#include "runtime/host.h"

namespace mayfly::runtime {

class StdioFactory final : public InstanceFactory {
 public:
  explicit StdioFactory(Host& host) : host_(host) {}

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  io::Task<void> forget(std::string, uint64_t) override { co_return; }
  io::Task<void> stop() override { co_return; }

 private:
  Host& host_;
};

}  // namespace mayfly::runtime
