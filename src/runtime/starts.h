#pragma once
// Starts: those that are under way on a shard, whatever their executor. What is made ahead of need (stock.h) waits for quiet among them.

#include <cstddef>
#include <cstdint>

#include "io/loop.h"

namespace mayfly::runtime {

struct Starts {
  size_t under_way = 0;
  int64_t last_us = 0;  // when one ended
};

// One start, from here to the end of the scope.
class UnderWay {
 public:
  UnderWay(Starts& starts, const io::Loop& loop) : starts_(starts), loop_(loop) { ++starts_.under_way; }
  UnderWay(const UnderWay&) = delete;
  ~UnderWay() {
    --starts_.under_way;
    starts_.last_us = loop_.now_us();
  }

 private:
  Starts& starts_;
  const io::Loop& loop_;
};

}  // namespace mayfly::runtime
