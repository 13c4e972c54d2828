#pragma once
// SimEngine: an engine whose rows survive a simulated power cut. A commit under way when the power is cut is lost or kept, whole, by
// chance; its caller never learns which. It stands for any engine that keeps its promise (engine.h), so that a simulation of a node
// tests what is built on one.

#include "store/engine.h"
#include "store/memory_engine.h"
#include "store/sim_power.h"

namespace mayfly::store {

class SimEngine final : public Engine {
 public:
  explicit SimEngine(SimPower& power) : power_(power) {}

  std::optional<std::string> get(const std::string& key) override {
    power_.require();
    return rows_->get(key);
  }
  std::vector<Entry> scan(const Range& range) override {
    power_.require();
    return rows_->scan(range);
  }
  std::vector<bool> apply(std::span<const Batch> batches) override {
    power_.require();
    if (power_.strikes()) {
      if (power_.coin()) rows_->apply(batches);
      power_.cut();
    }
    return rows_->apply(batches);
  }

 private:
  SimPower& power_;
  std::unique_ptr<Engine> rows_ = make_memory_engine();
};

}  // namespace mayfly::store
