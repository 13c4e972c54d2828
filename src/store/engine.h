#pragma once
// The ordered key-value engine (DESIGN 4.3): keys sorted by bytes, batches applied all or nothing. Domain rooms own key layouts (see
// keys.h); an engine knows none. Synchronous and single-threaded: the group committer (store.h) is its only caller. Two
// implementations, memory_engine.h and sqlite_engine.h, are held equal by engine_differential_test.cc.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mayfly::store {

struct Entry {
  std::string key;
  std::string value;
  bool operator==(const Entry&) const = default;
};

// What must hold before a batch may apply.
struct Expectation {
  enum class Kind {
    absent,  // the key does not exist
    exists,  // it does
    equals,  // it exists and its value is exactly `value`
  };
  std::string key;
  Kind kind = Kind::absent;
  std::string value{};

  // Judges the key's present value; nullopt is an absent key.
  bool holds(const std::optional<std::string>& present) const {
    if (kind == Kind::absent) return !present;
    return present && (kind == Kind::exists || *present == value);
  }
};

// One atomic change: if every expectation holds, all of it happens, else none. Later writes to a key win over earlier ones.
struct Batch {
  struct Write {
    std::string key;
    std::optional<std::string> value;  // nullopt deletes; deleting an absent key is fine
  };
  std::vector<Expectation> expectations;
  std::vector<Write> writes;

  void expect_absent(std::string key) { expectations.push_back({std::move(key), Expectation::Kind::absent}); }
  void expect_exists(std::string key) { expectations.push_back({std::move(key), Expectation::Kind::exists}); }
  void expect_equals(std::string key, std::string value) { expectations.push_back({std::move(key), Expectation::Kind::equals, std::move(value)}); }
  void put(std::string key, std::string value) { writes.push_back({std::move(key), std::move(value)}); }
  void erase(std::string key) { writes.push_back({std::move(key), std::nullopt}); }
  bool empty() const { return writes.empty() && expectations.empty(); }
};

// Keys in [first, last), in byte order, or from the end when reversed. An empty `last` means "to the end of the key space".
struct Range {
  std::string first;
  std::string last;
  size_t limit = 1000;
  bool reverse = false;
  bool keys_only = false;  // values come back empty: for counts and indexes over large rows
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::optional<std::string> get(const std::string& key) = 0;
  virtual std::vector<Entry> scan(const Range& range) = 0;
  // Applies batches in order as ONE durable unit; each is judged against the state left by those before it. result[i] says whether
  // batch i applied. When this returns, everything that applied survives power loss; if it throws, the process must end (reliability.md R3.3).
  virtual std::vector<bool> apply(std::span<const Batch> batches) = 0;
};

}  // namespace mayfly::store
