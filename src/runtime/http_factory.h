#pragma once
// The executor of functions that serve a port: each instance is a sandbox with the function's own server in it (http_contract.h says how
// it is started, http_instance.h how it is called). A start is over when the port answers: attempts follow each other after 1, 2, 5 ... 50
// ms, and end at once when the program ends. A start that fails says what the program printed last, how it ended, and which ports of the
// sandbox are listened on instead.

#include <memory>
#include <set>
#include <string>

#include "runtime/host.h"
#include "runtime/runtimes.h"

namespace mayfly::runtime {

struct ServerProgram;

class HttpFactory final : public InstanceFactory {
 public:
  explicit HttpFactory(Host& host) : host_(host) {}

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  io::Task<void> forget(std::string, uint64_t) override { co_return; }
  io::Task<void> stop() override { co_return; }

 private:
  io::Task<Expected<std::shared_ptr<Box>, StartError>> launch(const StartContext& context, Contract contract, ServerProgram program);

  Host& host_;
};

// The ports that are listened on in the network namespace of a process, but for `known` ones: "3000, 8080"; empty if none, or unknown.
std::string listening_ports(const sys::Fd& pidfd, const std::set<unsigned>& known);

}  // namespace mayfly::runtime
