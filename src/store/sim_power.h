#pragma once
// SimPower: the switch of a simulated machine, and its source of chance. Every step that could change what a disk holds is counted;
// the cut falls on a chosen one. From then on each device throws PowerCut at every call, so that all that runs on the machine comes
// to its end without leaving a trace, and can then be built anew. Single-threaded.

#include <cstdint>
#include <stdexcept>

#include "base/check.h"
#include "base/rng.h"

namespace mayfly::store {

struct PowerCut : std::runtime_error {
  PowerCut() : std::runtime_error("the simulated machine has no power") {}
};

class SimPower {
 public:
  explicit SimPower(uint64_t seed) : rng_(seed) {}
  SimPower(const SimPower&) = delete;

  bool is_on() const { return on_; }
  uint64_t steps() const { return steps_; }
  Rng& rng() { return rng_; }

  // The cut falls on the `step`-th step from now, counting from 1.
  void cut_at(uint64_t step) { cut_at_ = steps_ + step; }
  void restore() { on_ = true; }
  void never_cut() { cut_at_ = 0; }

  // For devices. Each call begins with require(); a changing one then asks strikes(): if true the device may keep any part of what
  // the call was to change and must end in cut().
  void require() const {
    if (!on_) throw PowerCut();
  }
  bool strikes() { return ++steps_ == cut_at_; }
  [[noreturn]] void cut() {
    on_ = false;
    throw PowerCut();
  }
  bool coin() { return rng_.below(2) == 0; }

 private:
  SeededRng rng_;
  bool on_ = true;
  uint64_t steps_ = 0;
  uint64_t cut_at_ = 0;  // 0: never
};

}  // namespace mayfly::store
