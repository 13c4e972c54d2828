#pragma once
// Chance enters the core only through Rng (DESIGN 4.12): the kernel's in production, a seeded one in tests.

#include <cstdint>
#include <string>

namespace mayfly {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual uint64_t next() = 0;

  uint64_t below(uint64_t bound) { return next() % bound; }  // bound > 0; the modulo bias is irrelevant to our uses
  std::string bytes(size_t count);
  std::string hex(size_t digits);
};

// getrandom(2), 32 words ahead for each thread. Thread-safe. A process forked without exec would repeat what its parent gives.
class SystemRng final : public Rng {
 public:
  uint64_t next() override;
};

// splitmix64 from a printed seed; for tests and simulation only.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(uint64_t seed) : state_(seed) {}
  uint64_t next() override;

 private:
  uint64_t state_;
};

// A random (version 4) UUID, 36 characters, lower case.
std::string uuid(Rng& rng);

}  // namespace mayfly
