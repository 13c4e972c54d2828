#pragma once
// TimerQueue: the timers of one shard in one heap, behind a single timer of the kernel's. Nearly every timer is a deadline that is
// cancelled long before it is due, so cancelling only empties a slot: the heap entry stays until its time or until dead entries are the
// majority. No allocation per timer once the heap has grown. Timers with the same time run in the order they were added.

#include <cstdint>
#include <vector>

#include "io/loop.h"

namespace mayfly::io {

class TimerQueue {
 public:
  Loop::TimerId add(int64_t at_us, Loop::Work work);
  bool cancel(Loop::TimerId timer);
  int64_t next_us() const { return heap_.empty() ? INT64_MAX : heap_.front().at_us; }  // not later than the next timer
  // Takes the next timer that is due, or an empty Work. The caller runs it; it may add and cancel timers.
  Loop::Work take_due(int64_t now_us);

 private:
  struct Entry {
    int64_t at_us;
    uint64_t sequence;
    Loop::TimerId id;
  };
  struct Slot {
    uint32_t generation = 1;  // so that the id of a finished timer never names its slot's next tenant
    Loop::Work work;
  };
  static bool later(const Entry& a, const Entry& b) { return a.at_us != b.at_us ? a.at_us > b.at_us : a.sequence > b.sequence; }
  Slot* find(Loop::TimerId timer);
  Loop::Work release(Loop::TimerId timer);
  void compact();

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t sequence_ = 0;
};

}  // namespace mayfly::io
