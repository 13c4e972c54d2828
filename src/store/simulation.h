#pragma once
// Simulation of a node with power cuts, from a printed seed (reliability.md R8.1, R8.2). Everything runs on one thread, on a simulated
// clock, disk and engine.
//
// A test writes a Scenario: live() builds its components on the machine, works with them and notes what was acknowledged; inspect()
// compares what a fresh machine finds with those notes. simulate() first lets each seed's scenario live undisturbed, to count its
// steps, then begins anew once per chosen step with the power cut on it:
//   live (until the cut), crash, inspect, live (every other time with one more cut), crash, inspect, live (to its end), inspect.
// The scenario object is the observer outside: it lives through the cut, while all it made in live() must be gone when live() ends.
//
// Writing one: catch PowerCut where a result is noted (it means "in doubt": the change may or may not have happened), give task
// groups and queues an on_fault that keeps quiet, stop what was started on both ways out of live(), and let no notes be taken on
// after the cut. All chance must come from the seed given to the scenario or from machine.rng().

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/sim_loop.h"
#include "store/blobs.h"
#include "store/sim_disk.h"
#include "store/sim_engine.h"
#include "store/sim_faults.h"
#include "store/store.h"

namespace mayfly::store {

// One simulated machine: what survives a cut (disk, engine) and the process on it, which boot() begins anew.
class SimMachine {
 public:
  SimMachine(uint64_t seed, SimFaults faults);
  ~SimMachine();

  io::SimLoop& loop() { return loop_; }
  Store& store() { return *process_->store; }
  Blobs& blobs() { return *process_->blobs; }
  SimPower& power() { return power_; }
  SimDisk& disk() { return disk_; }
  Rng& rng() { return power_.rng(); }

  void boot();   // power on, a new process
  void crash();  // the process is gone; the disk loses what was not synced

 private:
  struct Process {
    std::unique_ptr<Disk> disk;
    std::unique_ptr<Blobs> checked_blobs, blobs;
    std::unique_ptr<Store> true_store, store;
  };

  SimFaults faults_;
  io::SimLoop loop_;
  SimPower power_;
  SimDisk disk_;
  SimEngine engine_;
  std::unique_ptr<Process> process_;
};

class Scenario {
 public:
  virtual ~Scenario() = default;
  // One life of the node. Returns when its work is done, or when the power was cut, in which case PowerCut may also leave it.
  virtual io::Task<void> live(SimMachine& machine) = 0;
  // The first promise found broken, in words; empty if all hold. The power is on and stays on.
  virtual io::Task<std::string> inspect(SimMachine& machine) = 0;
};

struct SimOptions {
  uint64_t first_seed = 1;
  uint64_t seeds = 300;
  uint64_t cuts_per_seed = 0;  // cut points tried per seed, spread evenly; 0: every step
  bool sync_failures = false;  // besides: in every other run one sync fails
  SimFaults faults{};
};

struct SimReport {
  uint64_t runs = 0;
  uint64_t cuts = 0;
  // The first broken promise: "seed 17, cut at step 42: ...", and its seed.
  std::string broken;
  uint64_t seed = 0;
};

// MAYFLY_SEED replays that one seed; MAYFLY_SEEDS tries as many as it says.
SimOptions seeds_from_environment(SimOptions options);

SimReport simulate(const SimOptions& options, const std::function<std::unique_ptr<Scenario>(uint64_t seed)>& make);

}  // namespace mayfly::store
