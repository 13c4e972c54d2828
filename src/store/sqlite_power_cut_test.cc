// The SQLite engine on simulated files, with the power cut at a random write, truncation, sync or deletion, also of a checkpoint and
// of the first opening: what apply() acknowledged is there, and what was under way is there whole or not at all.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "store/memory_engine.h"
#include "store/sim_vfs.h"
#include "store/sqlite_engine.h"
#include "sys/fault.h"

namespace mayfly::store {
namespace {

using Rows = std::vector<Entry>;

std::vector<Batch> random_batches(Rng& rng) {
  std::vector<Batch> batches(1 + rng.below(3));
  for (auto& batch : batches) {
    for (uint64_t left = 1 + rng.below(4); left > 0; --left) {
      std::string key = "key-" + std::to_string(rng.below(30));
      if (rng.below(4) == 0) batch.erase(key);
      else batch.put(key, rng.bytes(rng.below(12) == 0 ? rng.below(30'000) : rng.below(200)));
    }
  }
  return batches;
}

// One machine's story: engines opened, used, closed and cut short. Empty, or what is wrong.
class Story {
 public:
  Story(uint64_t seed, SimVfs::Syncs syncs) : rng_(seed), power_(seed), vfs_(power_, syncs) {}

  std::string tell() {
    for (int life = 0; life < 6; ++life) {
      power_.cut_at(1 + rng_.below(120));
      live();
      power_.never_cut();
      if (!power_.is_on()) {
        ++cuts;
        vfs_.crash();
        power_.restore();
      }
      try {
        auto engine = open_sqlite_engine("kv", vfs_.name());
        Rows found = engine->scan({.first = {}, .last = {}, .limit = SIZE_MAX});
        if (found != rows() && !(under_way_ && found == *under_way_)) return "life " + std::to_string(life) + ": rows were lost, made up or torn";
        settle(found);
      } catch (const sys::Fault& fault) {
        return "life " + std::to_string(life) + ": " + fault.what();
      }
    }
    return "";
  }

  int cuts = 0;

 private:
  void live() {
    try {
      auto engine = open_sqlite_engine("kv", vfs_.name());
      for (uint64_t left = rng_.below(20); left > 0; --left) {
        auto batches = random_batches(rng_);
        auto next = copy();
        next->apply(batches);
        under_way_ = next->scan({.first = {}, .last = {}, .limit = SIZE_MAX});
        engine->apply(batches);
        acknowledged_ = std::move(next);
        under_way_.reset();
      }
    } catch (const sys::Fault&) {
      EXPECT_FALSE(power_.is_on());
    }
  }

  Rows rows() { return acknowledged_->scan({.first = {}, .last = {}, .limit = SIZE_MAX}); }
  std::unique_ptr<Engine> copy() {
    auto engine = make_memory_engine();
    settle_into(*engine, rows());
    return engine;
  }
  static void settle_into(Engine& engine, const Rows& rows) {
    Batch batch;
    for (const Entry& row : rows) batch.put(row.key, row.value);
    engine.apply(std::span(&batch, 1));
  }
  void settle(const Rows& found) {
    acknowledged_ = make_memory_engine();
    settle_into(*acknowledged_, found);
    under_way_.reset();
  }

  SeededRng rng_;
  SimPower power_;
  SimVfs vfs_;
  std::unique_ptr<Engine> acknowledged_ = make_memory_engine();
  std::optional<Rows> under_way_;
};

TEST(SqlitePowerCut, WhatWasAppliedSurvivesAndNothingIsTorn) {
  int cuts = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Story story(seed, SimVfs::Syncs::honoured);
    ASSERT_EQ(story.tell(), "") << "seed " << seed;
    cuts += story.cuts;
  }
  EXPECT_GT(cuts, 150);
  fmt::print("{} cuts\n", cuts);
}

TEST(SqlitePowerCut, SyncsThatDoNothingAreFoundWithin500Seeds) {
  std::string complaint;
  uint64_t seed = 0;
  while (complaint.empty() && seed < 500) complaint = Story(++seed, SimVfs::Syncs::ignored).tell();
  EXPECT_NE(complaint, "");
  fmt::print("seed {}: {}\n", seed, complaint);
}

}  // namespace
}  // namespace mayfly::store
