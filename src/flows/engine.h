#pragma once
// Engine: the Flows of a node. It keeps flows itself and hands executions to partitions by hash(flow, execution). The number of
// partitions is part of the stored layout (their queues carry it), so it is fixed; they are spread over the loops given.
// Any shard may call; a call that works an execution hops to its partition's loop and back.

#include "flows/partition.h"

namespace mayfly::flows {

constexpr unsigned kPartitions = 8;  // reliability.md R4.3: 4 to 16. Stored messages name their partition: a change needs a migration

class Engine final : public Flows {
 public:
  struct Parts {
    std::vector<io::Loop*> loops;  // at least one; they outlive the engine
    store::Store& store;
    dispatch::Invoker& invoker;
    Rng& rng;                      // thread-safe
    std::vector<TaskTarget*> targets{};  // asked before functions and flows
    PartitionOptions options{};
  };
  explicit Engine(Parts parts);
  ~Engine() override;

  void start();                        // any thread; the loops may start later
  io::Task<void> stop(io::Loop& loop);  // before destruction; no calls of the interface below may be running or follow

  io::Task<Result<Flow>> create_flow(io::Loop& loop, Flow flow) override;
  io::Task<Result<Flow>> update_flow(io::Loop& loop, Flow flow) override;
  io::Task<Result<void>> delete_flow(io::Loop& loop, std::string name) override;
  io::Task<Result<Flow>> describe_flow(io::Loop& loop, std::string name) override;
  io::Task<Page<Flow>> list_flows(io::Loop& loop, std::string next, size_t limit) override;
  io::Task<Result<Execution>> start(io::Loop& loop, StartRequest request) override;
  io::Task<Result<Execution>> stop(io::Loop& loop, std::string flow, std::string name, std::string error, std::string cause) override;
  io::Task<Result<Execution>> describe(io::Loop& loop, std::string flow, std::string name, io::Deadline wait) override;
  io::Task<Result<Page<Execution>>> list(io::Loop& loop, ExecutionFilter filter) override;
  io::Task<Result<Page<HistoryEvent>>> history(io::Loop& loop, std::string flow, std::string name, std::string next, size_t limit) override;
  io::Task<Result<void>> report_succeeded(io::Loop& loop, std::string token, std::string output) override;
  io::Task<Result<void>> report_failed(io::Loop& loop, std::string token, std::string error, std::string cause) override;

 private:
  Partition& partition_of(const std::string& flow, const std::string& execution);
  io::Task<Verdict> submit(io::Loop& loop, std::string flow, std::string execution, Command command);
  io::Task<Result<void>> report(io::Loop& loop, std::string token, Command command);
  io::Task<void> report_end(io::Loop& loop, std::string token, Command::Result result, std::string output, std::string error, std::string cause);
  io::Task<Result<Execution>> read(io::Loop& loop, std::string flow, std::string name);
  io::Task<Result<Flow>> write_flow(io::Loop& loop, FlowRow row, std::shared_ptr<const Compiled> compiled, store::Expectation expectation, FlowError refused);

  store::Store& store_;
  Rng& rng_;
  const Limits limits_;
  Definitions definitions_;
  std::unique_ptr<TaskTarget> functions_, flows_;
  std::vector<std::unique_ptr<Partition>> partitions_;
};

}  // namespace mayfly::flows
