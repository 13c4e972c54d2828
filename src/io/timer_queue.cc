#include "io/timer_queue.h"

#include <algorithm>

namespace mayfly::io {
namespace {
constexpr size_t kCompactAbove = 64;  // a small heap is not worth the pass
}

Loop::TimerId TimerQueue::add(int64_t at_us, Loop::Work work) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  uint32_t index = free_.back();
  free_.pop_back();
  Slot& slot = slots_[index];
  slot.work = std::move(work);
  Loop::TimerId id = static_cast<uint64_t>(slot.generation) << 32 | index;
  heap_.push_back({at_us, sequence_++, id});
  std::push_heap(heap_.begin(), heap_.end(), later);
  return id;
}

TimerQueue::Slot* TimerQueue::find(Loop::TimerId timer) {
  uint32_t index = static_cast<uint32_t>(timer);
  if (index >= slots_.size() || slots_[index].generation != timer >> 32) return nullptr;
  return &slots_[index];
}

Loop::Work TimerQueue::release(Loop::TimerId timer) {
  Slot* slot = find(timer);
  if (slot == nullptr) return {};
  if (++slot->generation == 0) slot->generation = 1;
  free_.push_back(static_cast<uint32_t>(timer));
  return std::exchange(slot->work, {});
}

bool TimerQueue::cancel(Loop::TimerId timer) {
  if (!release(timer)) return false;
  size_t alive = slots_.size() - free_.size();
  if (heap_.size() > kCompactAbove && heap_.size() > 2 * alive) compact();
  return true;
}

void TimerQueue::compact() {
  std::erase_if(heap_, [this](const Entry& entry) { return find(entry.id) == nullptr; });
  std::make_heap(heap_.begin(), heap_.end(), later);
}

Loop::Work TimerQueue::take_due(int64_t now_us) {
  while (!heap_.empty() && heap_.front().at_us <= now_us) {
    Loop::TimerId id = heap_.front().id;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    if (Loop::Work work = release(id)) return work;
  }
  return {};
}

}  // namespace mayfly::io
