// Random operations on the memory engine and on SQLite: every answer must be equal (reliability.md R8.3). The seed is printed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "store/memory_engine.h"
#include "store/sqlite_engine.h"
#include "store/test_folder.h"

namespace mayfly::store {
namespace {

constexpr int kOperations = 3'000;

class Generator {
 public:
  explicit Generator(uint64_t seed) : rng_(seed) {}

  uint64_t below(uint64_t bound) { return rng_.below(bound); }

  // A small key space, so that operations meet; bytes at both ends of the order, and the empty key.
  std::string key() {
    static const std::string kBytes("\x00\x01m\x7f\x80\xff", 6);
    std::string out;
    for (size_t left = below(4); left > 0; --left) out.push_back(kBytes[below(kBytes.size())]);
    return out;
  }

  std::string value() {
    size_t size = below(20) == 0 ? below(40'000) : below(12);  // now and then over several pages
    return rng_.bytes(size);
  }

  Batch batch(Engine& reference) {
    Batch batch;
    for (size_t left = below(3); left > 0; --left) {
      std::string at = key();
      switch (below(4)) {
        case 0: batch.expect_absent(at); break;
        case 1: batch.expect_exists(at); break;
        case 2: batch.expect_equals(at, value()); break;
        default: batch.expect_equals(at, reference.get(at).value_or("")); break;
      }
    }
    for (size_t left = below(5); left > 0; --left) {
      if (below(3) == 0) batch.erase(key());
      else batch.put(key(), value());
    }
    return batch;
  }

  Range range() {
    return {.first = key(), .last = below(3) == 0 ? std::string() : key(), .limit = below(4) == 0 ? 1000 : below(6), .reverse = below(2) == 0, .keys_only = below(4) == 0};
  }

 private:
  SeededRng rng_;
};

TEST(EngineDifferential, MemoryAndSqliteGiveTheSameAnswers) {
  uint64_t seed = SystemRng().next();
  if (const char* given = std::getenv("MAYFLY_SEED")) seed = std::stoull(given);
  fmt::print("MAYFLY_SEED={}\n", seed);
  TestFolder folder;
  auto memory = make_memory_engine();
  auto sqlite = open_sqlite_engine(folder / "kv");
  Generator generator(seed);
  int refused = 0;
  for (int at = 0; at < kOperations; ++at) {
    switch (generator.below(8)) {
      case 0: {
        auto key = generator.key();
        ASSERT_EQ(memory->get(key), sqlite->get(key)) << "operation " << at;
        break;
      }
      case 1:
      case 2:
      case 3: {
        auto range = generator.range();
        ASSERT_EQ(memory->scan(range), sqlite->scan(range)) << "operation " << at;
        break;
      }
      case 4:
        if (generator.below(50) == 0) {
          sqlite.reset();
          sqlite = open_sqlite_engine(folder / "kv");
        }
        break;
      default: {
        std::vector<Batch> batches(generator.below(4));
        for (auto& batch : batches) batch = generator.batch(*memory);
        auto expected = memory->apply(batches);
        ASSERT_EQ(expected, sqlite->apply(batches)) << "operation " << at;
        refused += static_cast<int>(std::ranges::count(expected, false));
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_EQ(memory->scan({}), sqlite->scan({}));
}

}  // namespace
}  // namespace mayfly::store
