#pragma once
// Partition: the owner of a share of the executions, on one loop. Everything that happens to an execution goes through its inbox and is
// applied by one driver at a time: it takes what has gathered, applies it to the state in memory, and commits one batch that holds the
// new state, the history, the acknowledgements of the messages that caused it and the messages it causes (DESIGN 4.5, R4.1 to R4.4).
// While that commit is on its way the next commands gather, so a wide foreach costs few commits.
//
// The fence of a commit is the execution's sequence row, and acknowledge_once for each message that changed something. If a commit is
// refused, what was in memory is forgotten, read again, and the commands are judged anew.
//
// Two durable queues feed it: tasks (running a target may take long) and work (timers, reports to parents, what a crash left unfinished).

#include <list>

#include "flows/definitions.h"
#include "flows/machine.h"
#include "flows/target.h"
#include "io/group.h"
#include "io/sync.h"
#include "queues/work_queue.h"

namespace mayfly::flows {

struct PartitionOptions {
  Limits limits;
  // Tasks running at once. They mostly wait for functions, whose own limits come first.
  size_t task_window = 512;
  size_t work_window = 256;
  // Executions kept in memory though nothing happens to them; others are read again when needed. At about 10 KB each.
  size_t max_idle = 2'000;
  // Whether the role of a flow may do what a task asks for; asked for flows that have one. Empty: every role may.
  std::function<bool(const std::string& role_arn, const auth::Access& access)> may{};
  std::function<void(std::exception_ptr)> on_fault{};  // of a commit or a target; what it belonged to is tried again. Default: printed
};

// What came of a command.
enum class Verdict { accepted, stale, not_found, exists, no_flow };

class Partition {
 public:
  // Reports to an execution of any partition.
  using Report = std::function<io::Task<void>(io::Loop& loop, std::string token, Command::Result result, std::string output, std::string error, std::string cause)>;

  Partition(unsigned index, io::Loop& loop, store::Store& store, Definitions& definitions, std::vector<TaskTarget*> targets, Report report, PartitionOptions options);
  ~Partition();

  io::Loop& loop() { return loop_; }
  // All below: on the partition's loop.
  void start();
  io::Task<void> stop();

  struct Begin {
    std::shared_ptr<const KnownFlow> flow;
    StartRequest request;  // name filled in
    std::string secret;
  };
  io::Task<Verdict> begin(Begin begin);
  io::Task<Verdict> submit(std::string flow, std::string execution, Command command, std::optional<queues::Message> cause = std::nullopt);
  // Returns when the execution has ended, at the deadline, or when the partition stops.
  io::Task<void> wait_for_end(std::string flow, std::string execution, io::Deadline deadline);

 private:
  struct Pending;
  struct Hot;
  struct Round;
  using Key = std::pair<std::string, std::string>;

  Hot& hot_of(const Key& key);
  io::Task<void> post(Key key, Pending& pending);
  io::Task<void> drive(Hot& hot);
  io::Task<void> load(Hot& hot);
  io::Task<bool> round(Hot& hot, std::vector<Pending*> taken);
  void judge(Hot& hot, Round& round, Pending& pending);
  void judge_begin(Hot& hot, Round& round, Pending& pending);
  void write(Hot& hot, Round& round);
  void write_messages(const Hot& hot, Round& round);
  void write_rows(Hot& hot, Round& round);
  void settle(Hot& hot);
  void unload(Hot& hot);
  void notify(const Key& key);

  queues::Message task_message(const State& state, TaskRef task, int64_t now_us) const;
  queues::Message timer_message(const State& state, const TimerChange& timer) const;
  queues::Message resume_message(const State& state, int64_t now_us) const;
  queues::Message end_message(const State& state, int64_t now_us) const;

  io::Task<void> consume_task(queues::Message message);
  io::Task<void> consume_work(queues::Message message);
  io::Task<void> drop(queues::Message message);
  io::Task<TaskOutcome> run_target(TaskRequest request);

  io::Loop& loop_;
  store::Store& store_;
  Definitions& definitions_;
  std::vector<TaskTarget*> targets_;
  Report report_;
  PartitionOptions options_;
  io::TaskGroup group_;
  std::unique_ptr<queues::WorkQueue> tasks_, work_;
  std::string task_queue_, work_queue_;
  std::map<Key, std::unique_ptr<Hot>> hot_;
  std::list<Hot*> idle_;  // loaded and unused, least recently used first
  std::multimap<Key, io::Signal*> waiting_;
  bool stopping_ = false;
};

}  // namespace mayfly::flows
