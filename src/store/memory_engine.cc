#include "store/memory_engine.h"

#include <map>

namespace mayfly::store {
namespace {

class MemoryEngine final : public Engine {
 public:
  std::optional<std::string> get(const std::string& key) override {
    auto row = rows_.find(key);
    if (row == rows_.end()) return std::nullopt;
    return row->second;
  }

  std::vector<Entry> scan(const Range& range) override {
    std::vector<Entry> out;
    if (!range.last.empty() && range.last <= range.first) return out;
    auto first = rows_.lower_bound(range.first);
    auto last = range.last.empty() ? rows_.end() : rows_.lower_bound(range.last);
    if (range.reverse) {
      while (first != last && out.size() < range.limit) {
        --last;
        out.push_back({last->first, range.keys_only ? std::string() : last->second});
      }
    } else {
      for (; first != last && out.size() < range.limit; ++first) out.push_back({first->first, range.keys_only ? std::string() : first->second});
    }
    return out;
  }

  std::vector<bool> apply(std::span<const Batch> batches) override {
    std::vector<bool> applied;
    applied.reserve(batches.size());
    for (const Batch& batch : batches) applied.push_back(apply_one(batch));
    return applied;
  }

 private:
  bool apply_one(const Batch& batch) {
    for (const Expectation& expectation : batch.expectations) {
      if (!expectation.holds(get(expectation.key))) return false;
    }
    for (const Batch::Write& write : batch.writes) {
      if (write.value) {
        rows_.insert_or_assign(write.key, *write.value);
      } else {
        rows_.erase(write.key);
      }
    }
    return true;
  }

  std::map<std::string, std::string> rows_;
};

}  // namespace

std::unique_ptr<Engine> make_memory_engine() { return std::make_unique<MemoryEngine>(); }

}  // namespace mayfly::store
