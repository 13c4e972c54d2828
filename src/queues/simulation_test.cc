// Two owners work one queue (as when a paused owner comes back) while producers add to it and the power is cut: every acknowledged
// message is either still queued or was handled, exactly once and with its payload, and messages nobody sent do not appear.
#include "store/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/sync.h"
#include "queues/work_queue.h"
#include "store/keys.h"

namespace mayfly::queues {
namespace {

using store::Scenario;
using store::SimFaults;
using store::SimMachine;

constexpr int kMessages = 6;                    // per life
constexpr int64_t kPatienceUs = 600'000'000;  // simulated: all retries of a life fit into it
const std::string kQueue = "deliveries";

std::string payload_of(const std::string& id) { return "photo " + id; }

class TotalQueue final : public Scenario {
 public:
  explicit TotalQueue(uint64_t seed) : rng_(seed) {}

  io::Task<void> live(SimMachine& machine) override {
    WorkQueueOptions options{.name = kQueue, .window = 3, .on_fault = [](std::exception_ptr) {}};
    auto consumer = [this, &machine](Message message) { return consume(machine, std::move(message)); };
    auto first = make_work_queue(machine.loop(), machine.store(), options, consumer);
    auto second = make_work_queue(machine.loop(), machine.store(), options, consumer);
    first->start();
    second->start();
    io::TaskGroup group(machine.loop(), [](std::exception_ptr) {});
    group.spawn(produce(machine, *first, *second));
    co_await group.drain();
    auto deadline = io::Deadline::after_us(machine.loop(), kPatienceUs);
    while (machine.power().is_on() && !deadline.passed(machine.loop()) && !co_await is_empty(machine)) {
      co_await io::sleep_us(machine.loop(), 100'000);
    }
    emptied_ = machine.power().is_on() && !deadline.passed(machine.loop());
    stuck_ = deadline.passed(machine.loop());
    co_await first->stop();
    co_await second->stop();
  }

  io::Task<std::string> inspect(SimMachine& machine) override {
    auto remaining = co_await remaining_ids(machine);
    std::map<std::string, int> handled;
    std::string prefix = store::make_key({"handled"});
    for (const auto& row : co_await store::scan_all(machine.store(), machine.loop(), prefix, store::after_prefix(prefix))) {
      std::string id = store::split_key(row.key)->at(1);
      ++handled[id];
      if (row.value != payload_of(id)) co_return id + " was handled with another payload";
    }
    for (const auto& id : sent_) {
      if (remaining.contains(id) + handled[id] != 1) {
        co_return fmt::format("{} was acknowledged, is queued {} times and was handled {} times", id, remaining.count(id), handled[id]);
      }
    }
    for (const auto& [id, times] : handled) {
      if (times > 1 || (times > 0 && remaining.contains(id))) co_return id + " was handled more than once";
      if (times > 0 && !sent_.contains(id) && !in_doubt_.contains(id)) co_return id + " was never sent";
    }
    if (stuck_) co_return "messages were left lying";
    if (std::exchange(emptied_, false) && !remaining.empty()) co_return "the queue was empty and is not";
    co_return "";
  }

 private:
  io::Task<void> produce(SimMachine& machine, WorkQueue& first, WorkQueue& second) {
    for (int at = 0; at < kMessages; ++at) {
      std::string id = std::to_string(next_id_++);
      int64_t due_us = machine.loop().clock().wall_us() + static_cast<int64_t>(rng_.below(4)) - 2;
      store::Batch batch;
      add(batch, {.queue = kQueue, .due_us = due_us, .id = id, .payload = payload_of(id)});
      in_doubt_.insert(id);
      co_await machine.store().commit(machine.loop(), std::move(batch));
      in_doubt_.erase(id);
      sent_.insert(id);
      first.wake();
      if (rng_.below(2) == 0) second.wake();
    }
  }

  // Mostly handles; sometimes fails, forgets, or puts the message off, as consumers do.
  io::Task<void> consume(SimMachine& machine, Message message) {
    co_await io::sleep_us(machine.loop(), static_cast<int64_t>(rng_.below(3)));
    store::Batch batch;
    acknowledge_once(batch, message);
    switch (rng_.below(8)) {
      case 0: throw std::runtime_error("the consumer failed");
      case 1: co_return;
      case 2:
        message.due_us += 2'000'000;
        add(batch, message);
        break;
      default: batch.put(store::make_key({"handled", message.id, rng_.hex(8)}), message.payload);
    }
    co_await machine.store().commit(machine.loop(), std::move(batch));
  }

  static io::Task<std::set<std::string>> remaining_ids(SimMachine& machine) {
    std::set<std::string> ids;
    auto rows = co_await machine.store().scan(machine.loop(), rows_of(kQueue));
    for (const auto& row : rows) ids.insert(read_message(row)->id);
    co_return ids;
  }
  static io::Task<bool> is_empty(SimMachine& machine) {
    if (!machine.power().is_on()) co_return true;
    try {
      co_return (co_await remaining_ids(machine)).empty();
    } catch (const store::PowerCut&) {
      co_return true;
    }
  }

  SeededRng rng_;
  int next_id_ = 0;
  std::set<std::string> sent_;      // acknowledged
  std::set<std::string> in_doubt_;  // a cut came before the answer
  bool emptied_ = false;            // the last life ended with nothing left to do
  bool stuck_ = false;              // a life's patience ended before its work
};

std::unique_ptr<Scenario> make_total_queue(uint64_t seed) { return std::make_unique<TotalQueue>(seed); }

TEST(QueueSimulation, TheAccountClosesWithACutAtEveryCommit) {
  auto report = simulate(store::seeds_from_environment({.seeds = 100}), make_total_queue);
  EXPECT_EQ(report.broken, "");
  EXPECT_GT(report.cuts, report.runs / 2);
  fmt::print("{} runs, {} cuts\n", report.runs, report.cuts);
}

TEST(QueueSimulation, AnOpenOutputGateIsFoundWithin500Seeds) {
  auto report = simulate({.seeds = 500, .faults = SimFaults{.acknowledge_before_commit = true}}, make_total_queue);
  EXPECT_NE(report.broken, "");
  fmt::print("{}\n", report.broken);
}

TEST(QueueSimulation, AFenceThatAlwaysHoldsIsFoundWithin500Seeds) {
  auto report = simulate({.seeds = 500, .faults = SimFaults{.ignore_expectations = true}}, make_total_queue);
  EXPECT_NE(report.broken, "");
  fmt::print("{}\n", report.broken);
}

}  // namespace
}  // namespace mayfly::queues
