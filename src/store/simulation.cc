#include "store/simulation.h"

#include <fmt/format.h>

#include <cstdlib>

namespace mayfly::store {
namespace {
constexpr int64_t kSettleUs = 2 * kMaxStoreUs;  // by then whatever nobody waits for has ended
}

SimMachine::SimMachine(uint64_t seed, SimFaults faults) : faults_(faults), power_(seed), disk_(power_), engine_(power_) {}
SimMachine::~SimMachine() = default;

void SimMachine::boot() {
  power_.restore();
  process_ = std::make_unique<Process>();
  Process& process = *process_;
  process.disk = make_process_disk(disk_, power_, faults_);
  process.checked_blobs = make_inline_blobs(*process.disk, power_.rng());
  process.blobs = faults_.ignore_checksums ? make_unchecked_blobs(*process.checked_blobs, *process.disk) : std::move(process.checked_blobs);
  process.true_store = make_inline_store(engine_);
  process.store = make_process_store(*process.true_store, loop_, power_.rng(), faults_);
}

void SimMachine::crash() {
  loop_.run_for(kSettleUs);  // what was under way meets dead devices and ends
  process_.reset();
  disk_.crash();
}

namespace {

// Lives until its end or the cut. True: the power was cut.
bool live(SimMachine& machine, Scenario& scenario) {
  try {
    machine.boot();
    machine.loop().wait(scenario.live(machine));
    machine.loop().run_for(kSettleUs);
  } catch (const PowerCut&) {
    MAYFLY_CHECK(!machine.power().is_on());
  }
  return !machine.power().is_on();
}

std::string inspect(SimMachine& machine, Scenario& scenario) {
  machine.boot();
  return machine.loop().wait(scenario.inspect(machine));
}

struct Disturbance {
  uint64_t cut_at = 0;     // step of the first life; 0: none
  uint64_t fail_sync = 0;  // sync of the first life; 0: none
};

// The steps of an undisturbed life are left in `steps`.
std::string run(SimMachine& machine, Scenario& scenario, Disturbance first, uint64_t& steps, uint64_t& cuts) {
  if (first.cut_at > 0) machine.power().cut_at(first.cut_at);
  if (first.fail_sync > 0) machine.disk().fail_sync(first.fail_sync);
  for (int lives = 1; live(machine, scenario); ++lives) {
    ++cuts;
    machine.power().never_cut();
    machine.disk().fail_sync(0);
    machine.crash();
    if (auto complaint = inspect(machine, scenario); !complaint.empty()) return complaint + " (after a crash)";
    if (lives == 1 && machine.power().coin()) machine.power().cut_at(1 + machine.rng().below(first.cut_at + 1));
  }
  steps = machine.power().steps();
  machine.power().never_cut();
  machine.disk().fail_sync(0);
  return inspect(machine, scenario);
}

}  // namespace

SimOptions seeds_from_environment(SimOptions options) {
  if (const char* seeds = std::getenv("MAYFLY_SEEDS")) options.seeds = std::stoull(seeds);
  if (const char* seed = std::getenv("MAYFLY_SEED")) {
    options.first_seed = std::stoull(seed);
    options.seeds = 1;
  }
  return options;
}

SimReport simulate(const SimOptions& options, const std::function<std::unique_ptr<Scenario>(uint64_t seed)>& make) {
  SimReport report;
  for (uint64_t seed = options.first_seed; seed < options.first_seed + options.seeds; ++seed) {
    uint64_t steps = 0, stride = 1;
    for (uint64_t cut_at = 0; cut_at <= steps; cut_at += stride) {
      SimMachine machine(seed * 1'000'003 + cut_at, options.faults);
      auto scenario = make(seed);
      uint64_t fail_sync = options.sync_failures && report.runs % 2 == 1 ? 1 + machine.rng().below(8) : 0;
      uint64_t run_steps = 0;
      ++report.runs;
      std::string complaint = run(machine, *scenario, {cut_at, fail_sync}, run_steps, report.cuts);
      if (!complaint.empty()) {
        report.broken = fmt::format("seed {}, cut at step {}: {}", seed, cut_at, complaint);
        report.seed = seed;
        return report;
      }
      if (cut_at > 0) continue;
      steps = run_steps;  // the run without a cut
      if (options.cuts_per_seed > 0) stride = std::max<uint64_t>(1, steps / options.cuts_per_seed);
    }
  }
  return report;
}

}  // namespace mayfly::store
