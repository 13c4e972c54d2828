#pragma once
// Nursery: makes the sandboxes of a shard (protocol.h says by which processes). Everything happens on the shard's thread; waiting is
// awaited. Sandboxes live on when their nursery is stopped or its process is killed.

#include <memory>
#include <optional>

#include "base/result.h"
#include "io/shard.h"
#include "sandbox/launch.h"
#include "sandbox/nursery_link.h"
#include "sandbox/plan.h"
#include "sys/cgroup.h"

namespace mayfly::sandbox {

class Nursery {
 public:
  Nursery(io::Shard& shard, NurseryOptions options) : link_(std::make_shared<NurseryLink>(shard, std::move(options))) {}

  // Starts the process now instead of with the first launch.
  void warm() { link_->running(); }
  // Returns once the program has taken the place of our code (its exec), or what prevented that. The program enters `cgroup`, which is
  // the sandbox's from then on and is removed when the launch fails.
  io::Task<Expected<std::unique_ptr<Sandbox>, LaunchError>> launch(Plan plan, std::optional<sys::Cgroup> cgroup, io::Deadline deadline);
  // Ends the process. A later launch starts another.
  io::Task<void> stop() { return link_->stop(); }

 private:
  std::shared_ptr<NurseryLink> link_;  // shared with the sandboxes
};

}  // namespace mayfly::sandbox
