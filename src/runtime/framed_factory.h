#pragma once
// The executor of runtimes that speak frames and cannot fork. Two kinds:
//   programs that a function brings along (cpp, built with sdk/) are started in a sandbox of their own, with their function in place. Of a
//   revision that has been started lately some sandboxes are made ahead (stock.h), up to the exec of the program;
//   interpreters (node, java, ...) are started ahead, generic: nothing of any function is in their sandbox. A start takes one, mounts the
//   function's folders into it and sends the start frame, and others are made for the next, as many as were taken of late. A generic
//   interpreter never serves two functions.
//
// The start frame's payload is JSON: {instance_id, memfd: true (large replies may come as files, frame.h), memory_bytes (the limit where
// no cgroup holds it, else 0), credentials: [id, secret, token], code, handler, initializer: handler or "", request_id: the initializer's
// or "", environment: {name: value}, concurrency, cores: [those the server may use], region, account, function: {name, handler, memory,
// timeout, initialization_timeout: seconds, as all times}, service: {name, log_project, log_store, qualifier, version_id}, pre_stop,
// pre_freeze: handler or ""}.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/host.h"
#include "runtime/runtimes.h"
#include "runtime/stock.h"

namespace mayfly::runtime {

class FramedFactory final : public InstanceFactory {
 public:
  explicit FramedFactory(Host& host);
  ~FramedFactory() override = default;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  void expect(const functions::Runnable& runnable) override;
  size_t ready() const override { return own_.ready() + generic_.ready(); }
  io::Task<void> forget(std::string key, uint64_t revision) override;
  io::Task<void> stop() override;
  const auto& own() const { return own_; }
  const auto& generic() const { return generic_; }

 private:
  enum class Ahead { no, yes };
  using Boxed = Expected<std::shared_ptr<Box>, StartError>;
  using Made = std::optional<std::shared_ptr<Box>>;

  io::Task<Boxed> launch_own(StartContext context, Ahead ahead);
  io::Task<Made> own_ahead(StartContext context);
  io::Task<Boxed> take_own(StartContext context);
  io::Task<Boxed> open(Boxed box, StartContext context);
  io::Task<Boxed> launch_generic(const Runtime& runtime, std::vector<std::string> command);
  io::Task<Made> generic_ahead(const Runtime& runtime, std::vector<std::string> command);
  io::Task<Boxed> take_generic(StartContext context, const Runtime& runtime);
  io::Task<Expected<void, StartError>> specialise(std::shared_ptr<Box> box, const functions::Runnable& runnable);
  io::Task<Boxed> launch_with_function(StartContext context, const Runtime& runtime);

  Host& host_;
  Stock<std::shared_ptr<Box>> own_;      // held; by door_name()
  Stock<std::shared_ptr<Box>> generic_;  // by command line
};

// Where a runtime's own files are on the host.
std::string host_folder(const Runtime& runtime, const RuntimeOptions& options);

// Whether the function has variables that are read once, when a program is started (by the dynamic linker, by node): it gets an
// interpreter started with its folders and environment in place, which costs it the head start.
bool needs_own_start(const functions::Runnable& runnable, const std::map<std::string, std::string>& environment);

// How a generic interpreter for this function is started; the same for functions that may share a stock.
std::vector<std::string> interpreter_command(const Runtime& runtime, const functions::Function& function, const RuntimeOptions& options);

// The payload of a start frame, see above.
std::string framed_start(const StartContext& context, const RuntimeOptions& options, const std::string& instance_id, uint64_t memory_bytes,
                         const std::string& initializer_id);

}  // namespace mayfly::runtime
