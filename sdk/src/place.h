#pragma once
// Place: which cores the serving thread may run on. An instance is born on the core of the shard that calls it. Short calls are cheapest
// there, for waking a thread on the caller's core costs a fraction of waking one elsewhere; long ones need every core, or all instances of a
// function would share one. It begins free, so that starts do not queue for a core, and moves by how long calls take.

#include <sched.h>

#include <chrono>

#include "mayfly/json.h"

namespace mayfly::detail {

class Place {
 public:
  // `cores`: the numbers of those the server may use; null when it does not say, and then the thread stays as it is.
  explicit Place(const Json& cores);

  void free();
  void after_call(std::chrono::steady_clock::duration took);

 private:
  cpu_set_t home_, all_;
  bool known_ = false, at_home_ = true;
};

}  // namespace mayfly::detail
