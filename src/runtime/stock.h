#pragma once
// Stock: what is made ahead of need, so that a start finds it: forks of a zygote, sandboxes with a program at its first instruction,
// interpreters without a function. It lies on shelves, one for each key; only what has the same key may stand in for another, so a key
// says all that distinguishes them (a function's revision, a command line). How much lies on a shelf is learnt (demand.h), within a limit
// for all shelves together; when that is reached, what was not asked for lately makes room.
// Making waits for quiet, since it would compete with the start that just took one, and happens one by one.
// One thread; its tasks run in the owner's group. forget() and stop() end what is ready.

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "io/group.h"
#include "runtime/demand.h"
#include "runtime/starts.h"

namespace mayfly::runtime {

struct StockRules {
  size_t most_of_one;    // on one shelf
  size_t most;           // on all of them
  int64_t pace_us = 0;   // from one made to the next: for what goes on starting after it was made
};

// Of generic interpreters, which hold 15-60 MB each and go on starting for some time after they were made.
StockRules interpreters_ahead();

template <class T>
class Stock {
 public:
  static constexpr int64_t kQuietUs = 20 * kMicrosPerMilli;  // since the last start, for its first call has begun and others may follow
  static constexpr int64_t kLateUs = 250 * kMicrosPerMilli;  // where starts never cease, one is made beside them so often
  static constexpr int64_t kSweepUs = 10 * kMicrosPerSecond;

  using Make = std::function<io::Task<std::optional<T>>()>;  // nothing: not to be had now; tried again after the next take()
  struct Handling {
    std::function<bool(const T&)> usable;           // it may have ended while it waited
    std::function<io::Task<void>(T)> discard;
  };

  Stock(io::Loop& loop, io::TaskGroup& tasks, const Starts& starts, StockRules rules, Handling handling)
      : loop_(loop), tasks_(tasks), starts_(starts), rules_(rules), handling_(std::move(handling)) {}
  Stock(const Stock&) = delete;
  ~Stock() { MAYFLY_CHECK_OP(shelves_.size(), ==, size_t{0}); }

  // One that is ready, if there is one. Others are made from now on, by `make`.
  std::optional<T> take(const std::string& key, Make make);
  // One is made for a start that is yet to come, unless that is done anyway.
  void expect(const std::string& key, Make make);
  void forget(const std::string& key);
  void stop();

  size_t ready() const { return ready_; }
  size_t found() const { return found_; }  // how often take() had one

 private:
  struct Shelf {
    std::deque<T> ready;  // oldest first
    Demand demand;
    Make make;
    bool failed = false;  // since the last take()
  };
  using Place = typename std::map<std::string, Shelf>::iterator;

  void asked(Place place, Make make);
  std::optional<std::string> next_missing();
  Shelf* to_spare();
  void discard_oldest(Shelf& shelf);
  io::Task<void> quiet();
  io::Task<void> fill();
  void arm_sweep();
  void sweep();

  io::Loop& loop_;
  io::TaskGroup& tasks_;
  const Starts& starts_;
  StockRules rules_;
  Handling handling_;
  std::map<std::string, Shelf> shelves_;
  size_t ready_ = 0, found_ = 0;
  int64_t last_taken_us_ = 0;
  bool filling_ = false, stopping_ = false;
  io::Loop::TimerId sweep_timer_ = 0;
};

template <class T>
std::optional<T> Stock<T>::take(const std::string& key, Make make) {
  if (stopping_) return std::nullopt;
  auto place = shelves_.try_emplace(key).first;
  std::optional<T> out;
  auto& shelf = place->second;
  while (!out && !shelf.ready.empty()) {
    if (!handling_.usable(shelf.ready.front())) {
      discard_oldest(shelf);
      continue;
    }
    out = std::move(shelf.ready.front());
    shelf.ready.pop_front();
    --ready_;
    ++found_;
  }
  asked(place, std::move(make));
  return out;
}

template <class T>
void Stock<T>::expect(const std::string& key, Make make) {
  if (stopping_) return;
  auto place = shelves_.try_emplace(key).first;
  if (place->second.demand.wanted(loop_.now_us()) == 0) asked(place, std::move(make));
}

template <class T>
void Stock<T>::asked(Place place, Make make) {
  last_taken_us_ = loop_.now_us();
  auto& shelf = place->second;
  shelf.demand.taken(last_taken_us_);
  shelf.make = std::move(make);
  shelf.failed = false;
  arm_sweep();
  if (!std::exchange(filling_, true)) tasks_.spawn(fill());
}

// The shelf that was taken from least lately, if that is long ago.
template <class T>
typename Stock<T>::Shelf* Stock<T>::to_spare() {
  Shelf* oldest = nullptr;
  for (auto& [key, shelf] : shelves_)
    if (!shelf.ready.empty() && (!oldest || shelf.demand.last_us() < oldest->demand.last_us())) oldest = &shelf;
  return oldest && loop_.now_us() - oldest->demand.last_us() > Demand::kRecallUs ? oldest : nullptr;
}

// The shelf that lacks most of what it should have, and there is room for one more, or room was made.
template <class T>
std::optional<std::string> Stock<T>::next_missing() {
  bool full = ready_ >= rules_.most;
  Shelf* spare = full ? to_spare() : nullptr;
  const std::string* found = nullptr;
  double least = 1;
  for (auto& [key, shelf] : shelves_) {
    size_t wanted = std::min(shelf.demand.wanted(loop_.now_us()), rules_.most_of_one);
    if (shelf.failed || shelf.ready.size() >= wanted) continue;
    if (full && (!spare || spare->demand.last_us() >= shelf.demand.last_us())) continue;
    double part = double(shelf.ready.size()) / double(wanted);
    if (part >= least) continue;
    least = part;
    found = &key;
  }
  if (!found) return std::nullopt;
  if (full) discard_oldest(*spare);
  return *found;
}

template <class T>
void Stock<T>::discard_oldest(Shelf& shelf) {
  T thing = std::move(shelf.ready.front());
  shelf.ready.pop_front();
  --ready_;
  tasks_.spawn(handling_.discard(std::move(thing)));
}

template <class T>
io::Task<void> Stock<T>::quiet() {
  int64_t late_us = loop_.now_us() + kLateUs;
  while (!stopping_) {
    int64_t last_us = starts_.under_way > 0 ? loop_.now_us() : std::max(last_taken_us_, starts_.last_us);
    int64_t quiet_us = std::min(last_us + kQuietUs, late_us);
    if (loop_.now_us() >= quiet_us) break;
    co_await io::sleep_until(loop_, quiet_us);
  }
}

template <class T>
io::Task<void> Stock<T>::fill() {
  while (!stopping_) {
    co_await quiet();
    auto key = next_missing();
    if (!key) break;
    Make make = shelves_.at(*key).make;
    std::optional<T> made;
    try {
      made = co_await make();
    } catch (const std::exception&) {  // the next start meets it too, and reports it
    }
    auto place = shelves_.find(*key);
    if (place == shelves_.end()) {  // forgotten meanwhile
      if (made) tasks_.spawn(handling_.discard(std::move(*made)));
      continue;
    }
    if (made) {
      place->second.ready.push_back(std::move(*made));
      ++ready_;
    } else {
      place->second.failed = true;
    }
    if (rules_.pace_us > 0) co_await io::sleep_us(loop_, rules_.pace_us);
  }
  filling_ = false;
}

template <class T>
void Stock<T>::forget(const std::string& key) {
  auto place = shelves_.find(key);
  if (place == shelves_.end()) return;
  while (!place->second.ready.empty()) discard_oldest(place->second);
  shelves_.erase(place);
}

template <class T>
void Stock<T>::stop() {
  stopping_ = true;
  while (!shelves_.empty()) forget(std::string(shelves_.begin()->first));
  if (sweep_timer_ != 0) loop_.cancel(std::exchange(sweep_timer_, 0));
}

template <class T>
void Stock<T>::arm_sweep() {
  if (sweep_timer_ != 0) return;
  sweep_timer_ = loop_.call_at(loop_.now_us() + kSweepUs, [this] {
    sweep_timer_ = 0;
    sweep();
  });
}

// What is not wanted any more ends.
template <class T>
void Stock<T>::sweep() {
  for (auto place = shelves_.begin(); place != shelves_.end();) {
    size_t wanted = place->second.demand.wanted(loop_.now_us());
    while (place->second.ready.size() > wanted) discard_oldest(place->second);
    if (wanted == 0) place = shelves_.erase(place);
    else ++place;
  }
  if (!shelves_.empty()) arm_sweep();
}

}  // namespace mayfly::runtime
