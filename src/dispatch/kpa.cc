#include "dispatch/kpa.h"

#include <algorithm>
#include <cmath>

namespace mayfly::dispatch {
namespace {

int64_t up(double value) { return static_cast<int64_t>(std::ceil(value)); }
int64_t down(double value) { return static_cast<int64_t>(std::floor(value)); }

int64_t second_after(int64_t us) { return (us / kMicrosPerSecond + 1) * kMicrosPerSecond; }
double seconds(int64_t us) { return static_cast<double>(us) / kMicrosPerSecond; }

}  // namespace

KpaStep::KpaStep(const KpaSettings& settings, std::optional<int64_t> ready, int64_t now_us) : settings_(settings), max_panic_(ready.value_or(0)) {
  if (max_panic_ > 1) panic_since_us_ = now_us;
}

KpaStep::Decision KpaStep::step(int64_t ready, double stable, double panic, int64_t now_us) {
  auto running = static_cast<double>(std::max<int64_t>(1, ready));
  int64_t most = up(settings_.max_up * running);
  int64_t least = reachable_ ? down(running / settings_.max_down) : 0;
  int64_t for_stable = up(stable / settings_.target), for_panic = up(panic / settings_.target);
  int64_t want_stable = std::min(std::max(for_stable, least), most), want_panic = std::min(std::max(for_panic, least), most);
  if (settings_.activation_scale > 1) {
    if (for_stable > 0) want_stable = std::max(want_stable, settings_.activation_scale);
    if (for_panic > 0) want_panic = std::max(want_panic, settings_.activation_scale);
  }
  if (static_cast<double>(for_panic) / running >= settings_.panic_threshold) {
    panic_since_us_ = now_us;
  } else if (in_panic() && panic_since_us_ + settings_.stable_s * kMicrosPerSecond < now_us) {
    panic_since_us_ = kCalm;
    max_panic_ = 0;
  }
  int64_t want = want_stable;
  if (in_panic()) {
    max_panic_ = std::max({max_panic_, want_stable, want_panic});
    want = max_panic_;
  }
  if (reachable_ && settings_.down_delay_us > 0) want = delayed(want, now_us);
  double burst = settings_.burst;
  int64_t excess = burst == 0 ? 0 : burst == -1 ? -1 : down(static_cast<double>(ready) * settings_.total - burst - panic);
  return {want, excess};
}

// The largest want of the last down_delay_us, in ticks.
int64_t KpaStep::delayed(int64_t want, int64_t now_us) {
  int64_t tick = now_us / kKpaTickUs, kept = (settings_.down_delay_us + kKpaTickUs - 1) / kKpaTickUs;
  while (!wants_.empty() && wants_.front().first <= tick - kept) wants_.pop_front();
  while (!wants_.empty() && wants_.back().second <= want) wants_.pop_back();
  wants_.emplace_back(tick, want);
  return wants_.front().second;
}

Kpa::Kpa(KpaSettings settings, size_t ready, int64_t now_us)
    : settings_(settings), step_(settings_, static_cast<int64_t>(ready), now_us), stable_(settings_.stable_s, settings_.aggregation),
      panic_(settings_.panic_s, settings_.aggregation), measured_us_(now_us), life_since_us_(now_us), began_us_(now_us), proxy_since_us_(now_us) {
  last_.want = ready;
}

void Kpa::report(int64_t now_us, double value) {
  stable_.record(now_us, value);
  panic_.record(now_us, value);
}

// Counts the area up to now; seconds that are over are reported as they were.
void Kpa::advance(int64_t now_us) {
  if (settings_.metric == KpaSettings::Metric::rps) {
    if (reporting_ && now_us >= second_after(measured_us_)) report(now_us, 0);
    measured_us_ = now_us;
    return;
  }
  // After a silence longer than the window what was before says nothing.
  if (now_us - measured_us_ > 2 * settings_.stable_s * kMicrosPerSecond) measured_us_ = now_us - settings_.stable_s * kMicrosPerSecond, area_ = reported_ = 0;
  while (measured_us_ < now_us) {
    int64_t end = std::min(now_us, second_after(measured_us_));
    area_ += static_cast<double>(in_flight_) * seconds(end - measured_us_);
    if (end == second_after(measured_us_)) {
      if (reporting_ || area_ > 0 || reported_ > 0) report(measured_us_, area_ - reported_);
      area_ = reported_ = 0;
    }
    measured_us_ = end;
  }
}

// The second that is under way, as far as it is known.
void Kpa::estimate(int64_t now_us) {
  if (settings_.metric == KpaSettings::Metric::rps) return;
  double passed = seconds(now_us % kMicrosPerSecond);
  double value = std::max(passed > 0 ? area_ / passed : 0.0, static_cast<double>(in_flight_));
  if (!reporting_ && value == 0 && reported_ == 0) return;
  report(now_us, value - reported_);
  reported_ = value;
}

void Kpa::arrived(int64_t now_us) {
  if (settings_.metric != KpaSettings::Metric::rps) return;
  advance(now_us);
  report(now_us, 1);
}

void Kpa::in_flight_is(size_t in_flight, int64_t now_us) {
  advance(now_us);
  in_flight_ = in_flight;
}

void Kpa::live(Life life, int64_t now_us) {
  if (life_ == life) return;
  life_ = life;
  life_since_us_ = now_us;
}

int64_t Kpa::bounded(int64_t want, size_t ready, int64_t now_us) {
  if (static_cast<int64_t>(ready) >= settings_.initial_scale) attained_initial_ = true;
  if (now_us - began_us_ > settings_.progress_us) attained_initial_ = true;  // given up
  want = std::max({want, settings_.min_scale, attained_initial_ ? int64_t{0} : settings_.initial_scale});
  return settings_.max_scale > 0 ? std::min(want, settings_.max_scale) : want;
}

int64_t Kpa::gate(int64_t want, size_t ready, int64_t now_us) {
  if (want > 0) {
    live(ready > 0 ? Life::active : Life::activating, now_us);
    return want;
  }
  if (!settings_.to_zero) return 1;
  int64_t age_us = now_us - life_since_us_;
  switch (life_) {
    case Life::activating:
      if (last_.want == 0) return 0;
      if (ready > 0) {
        live(Life::active, now_us);
        return 1;
      }
      return age_us > settings_.progress_us + settings_.grace_us ? 0 : 1;
    case Life::active:
      if (age_us < settings_.stable_s * kMicrosPerSecond) return 1;
      live(Life::inactive, now_us);
      [[fallthrough]];
    case Life::inactive: break;
  }
  if (now_us - life_since_us_ < settings_.retention_us) return 1;
  // Every request comes through us, so nothing is lost by going; the grace is kept because it is what a user has set.
  bool through_activator = last_.mode == Mode::proxy || settings_.burst == -1;
  int64_t since_us = through_activator ? proxy_since_us_ : now_us;
  return settings_.burst == -1 || now_us - since_us >= settings_.grace_us ? 0 : 1;
}

int64_t Kpa::activators(size_t ready) const {
  return std::max<int64_t>(2, up((static_cast<double>(ready) * settings_.total + settings_.burst) / settings_.activator_capacity));
}

Kpa::Decision Kpa::decide(size_t ready, int64_t now_us) {
  advance(now_us);
  reporting_ = ready > 0 || in_flight_ > 0;
  estimate(now_us);
  int64_t want;
  Decision next;
  if (stable_.empty(now_us)) {
    want = in_flight_ > 0 || ready > 0 ? static_cast<int64_t>(last_.want) : 0;
    next.excess_burst = last_.excess_burst;
  } else {
    auto decided = step_.step(static_cast<int64_t>(ready), stable_.average(now_us), panic_.average(now_us), now_us);
    want = decided.want;
    next.excess_burst = decided.excess_burst;
  }
  want = gate(bounded(want, ready, now_us), ready, now_us);
  bool going = life_ == Life::inactive;
  next.want = static_cast<size_t>(want);
  next.mode = want > 0 && !going && next.excess_burst >= 0 ? Mode::serve : Mode::proxy;
  if (want == 0) reporting_ = false;  // nobody is there to report: a silence, not seconds without load
  if (next.mode == Mode::proxy && last_.mode == Mode::serve) proxy_since_us_ = now_us;
  last_ = next;
  return next;
}

}  // namespace mayfly::dispatch
