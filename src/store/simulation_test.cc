// Random puts of rows and bodies and compare-and-set counters, with the power cut at every step: what was acknowledged is there and
// intact, no row names a body that is missing or torn, no increment is lost. Each planted fault is found.
#include "store/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/group.h"
#include "store/keys.h"

namespace mayfly::store {
namespace {

constexpr int kWorkers = 3;
constexpr int kOperations = 4;  // per worker and life
constexpr int kKeys = 2;        // per worker
constexpr const char* kCounter = "counter";

// A row's value: "inline <n>", or "body <size> <blob id>", whose bytes follow from its size.
std::string body_of(size_t size) {
  SeededRng rng(size);
  return rng.bytes(size);
}

class PutsAndBodies final : public Scenario {
 public:
  explicit PutsAndBodies(uint64_t seed) : rng_(seed) {}

  io::Task<void> live(SimMachine& machine) override {
    co_await sweep(machine);
    io::TaskGroup group(machine.loop(), [](std::exception_ptr) {});
    for (int worker = 0; worker < kWorkers; ++worker) group.spawn(work(machine, worker));
    co_await group.drain();
  }

  io::Task<std::string> inspect(SimMachine& machine) override {
    if (rng_.below(4) == 0) flip_some_bit(machine);
    for (auto& [key, note] : notes_) {
      auto found = co_await machine.store().get(machine.loop(), key);
      if (found != note.acknowledged && !(note.in_doubt && found == note.in_doubt->value)) co_return key + " is not as acknowledged";
      note = {.acknowledged = found, .in_doubt = {}};
      if (!found || !found->starts_with("body ")) continue;
      auto complaint = co_await inspect_body(machine, *found);
      if (!complaint.empty()) co_return key + ": " + complaint;
    }
    auto counter = co_await machine.store().get(machine.loop(), kCounter);
    int value = counter ? std::stoi(*counter) : 0;
    if (value < counted_ || value > counted_ + counts_in_doubt_) co_return "increments were lost or made up";
    counted_ = value;
    counts_in_doubt_ = 0;
    co_return "";
  }

 private:
  struct InDoubt {
    std::optional<std::string> value;
  };
  // What the world was told about a key.
  struct Note {
    std::optional<std::string> acknowledged{};
    std::optional<InDoubt> in_doubt{};  // asked for and not answered
  };

  static std::string blob_of(const std::string& value) { return value.substr(value.rfind(' ') + 1); }

  io::Task<void> sweep(SimMachine& machine) {
    std::set<std::string> named;
    for (const Entry& row : co_await scan_all(machine.store(), machine.loop(), "", "")) {
      if (row.value.starts_with("body ")) named.insert(blob_of(row.value));
    }
    co_await machine.blobs().sweep(machine.loop(), [named = std::move(named)](const std::string& id) { return named.contains(id); });
  }

  io::Task<void> work(SimMachine& machine, int worker) {
    for (int at = 0; at < kOperations; ++at) {
      std::string key = "row-" + std::to_string(worker) + "-" + std::to_string(rng_.below(kKeys));
      switch (rng_.below(4)) {
        case 0: co_await write(machine, key, "inline " + std::to_string(rng_.next())); break;
        case 1: co_await write(machine, key, std::nullopt); break;
        case 2: co_await write_body(machine, key); break;
        default: co_await increment(machine); break;
      }
    }
  }

  // An exception leaves the note in doubt.
  io::Task<void> write(SimMachine& machine, std::string key, std::optional<std::string> value) {
    Batch batch;
    if (value) batch.put(key, *value);
    else batch.erase(key);
    notes_[key].in_doubt = InDoubt{value};
    co_await machine.store().commit(machine.loop(), std::move(batch));
    notes_[key] = {.acknowledged = value, .in_doubt = {}};
  }

  io::Task<void> write_body(SimMachine& machine, std::string key) {
    size_t size = rng_.below(8) == 0 ? 60'000 + rng_.below(10'000) : rng_.below(3'000);
    auto writer = machine.blobs().create(machine.loop());
    co_await writer->append(body_of(size));
    std::string id = co_await writer->finish();
    auto before = notes_[key].acknowledged;
    co_await write(machine, key, "body " + std::to_string(size) + " " + id);
    if (before && before->starts_with("body ")) co_await machine.blobs().remove(machine.loop(), blob_of(*before));
  }

  io::Task<void> increment(SimMachine& machine) {
    while (true) {
      auto present = co_await machine.store().get(machine.loop(), kCounter);
      Batch batch;
      if (present) batch.expect_equals(kCounter, *present);
      else batch.expect_absent(kCounter);
      batch.put(kCounter, std::to_string(present ? std::stoi(*present) + 1 : 1));
      ++counts_in_doubt_;
      auto outcome = co_await machine.store().commit(machine.loop(), std::move(batch));
      --counts_in_doubt_;
      if (outcome == Commit::refused) continue;
      ++counted_;
      co_return;
    }
  }

  void flip_some_bit(SimMachine& machine) {
    for (const auto& [key, note] : notes_) {
      if (!note.acknowledged || !note.acknowledged->starts_with("body ")) continue;
      std::string id = blob_of(*note.acknowledged);
      if (!machine.disk().flip_bit("blobs/" + id.substr(0, 2) + "/" + id)) continue;
      damaged_.insert(id);
      return;
    }
  }

  // A body whose bits were flipped must be reported corrupt; any other must be whole.
  io::Task<std::string> inspect_body(SimMachine& machine, std::string value) {
    std::string id = blob_of(value);
    size_t size = std::stoul(value.substr(5));
    std::string found;
    auto reader = co_await machine.blobs().open(machine.loop(), id);
    std::optional<BlobError> error = reader ? std::nullopt : std::optional(reader.error());
    if (reader) {
      auto body = co_await (*reader)->read(0, (*reader)->size());
      if (body) found = *body;
      else error = body.error();
    }
    if (error == BlobError::missing) co_return "its body is missing";
    if (error && !damaged_.contains(id)) co_return "its body is torn";
    if (!error && found != body_of(size)) co_return "its body is not what was written";
    co_return "";
  }

  SeededRng rng_;
  std::map<std::string, Note> notes_;
  std::set<std::string> damaged_;
  int counted_ = 0, counts_in_doubt_ = 0;
};

std::unique_ptr<Scenario> make_puts_and_bodies(uint64_t seed) { return std::make_unique<PutsAndBodies>(seed); }

TEST(Simulation, WhatWasAcknowledgedSurvivesACutAtEveryStep) {
  auto report = simulate(seeds_from_environment({.seeds = 30}), make_puts_and_bodies);
  EXPECT_EQ(report.broken, "");
  EXPECT_GT(report.cuts, report.runs / 2);
  fmt::print("{} runs, {} cuts\n", report.runs, report.cuts);
}

TEST(Simulation, WhatWasAcknowledgedSurvivesCutsAndFailedSyncsOverManySeeds) {
  SimOptions options{.first_seed = 1'000, .seeds = 300, .cuts_per_seed = 5, .sync_failures = true};
  auto report = simulate(seeds_from_environment(options), make_puts_and_bodies);
  EXPECT_EQ(report.broken, "");
  fmt::print("{} runs, {} cuts\n", report.runs, report.cuts);
}

class PlantedFault : public testing::TestWithParam<std::pair<const char*, SimFaults>> {};

TEST_P(PlantedFault, IsFoundWithin500Seeds) {
  auto [name, faults] = GetParam();
  auto report = simulate({.seeds = 500, .cuts_per_seed = 8, .sync_failures = faults.ignore_sync_failure, .faults = faults}, make_puts_and_bodies);
  EXPECT_NE(report.broken, "") << name;
  fmt::print("{}: {}\n", name, report.broken);
}

INSTANTIATE_TEST_SUITE_P(Simulation, PlantedFault,
                         testing::Values(std::pair("skip_blob_sync", SimFaults{.skip_blob_sync = true}),
                                         std::pair("skip_folder_sync", SimFaults{.skip_folder_sync = true}),
                                         std::pair("ignore_sync_failure", SimFaults{.ignore_sync_failure = true}),
                                         std::pair("ignore_checksums", SimFaults{.ignore_checksums = true}),
                                         std::pair("acknowledge_before_commit", SimFaults{.acknowledge_before_commit = true}),
                                         std::pair("ignore_expectations", SimFaults{.ignore_expectations = true})),
                         [](const auto& info) { return std::string(info.param.first); });

}  // namespace
}  // namespace mayfly::store
