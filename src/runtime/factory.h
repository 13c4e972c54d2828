#pragma once
// The InstanceFactory of a shard: keeps the zygotes, forks instances from them, opens and closes their doors. See instance.h.

#include <map>
#include <memory>
#include <string>

#include "io/group.h"
#include "runtime/dns.h"
#include "runtime/instance.h"
#include "runtime/worker.h"
#include "runtime/zygote.h"

namespace mayfly::runtime {

class Factory final : public InstanceFactory {
 public:
  Factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng);
  ~Factory() override;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  io::Task<void> prepare(std::shared_ptr<const functions::Runnable> runnable) override;
  io::Task<void> forget(const std::string& key, uint64_t revision) override;
  io::Task<void> stop() override;

 private:
  using ZygoteResult = Expected<std::shared_ptr<Zygote>, StartError>;
  // A zygote that stands or is being made; several starts may wait for the same one.
  struct Slot {
    explicit Slot(io::Loop& loop) : done(loop) {}
    io::Signal done;
    std::optional<ZygoteResult> result;
    std::shared_ptr<NameServer> names;
  };

  io::Task<ZygoteResult> zygote_for(StartContext context);
  io::Task<ZygoteResult> make_zygote(StartContext context, std::string door, std::shared_ptr<Slot> slot);
  io::Task<void> run_zygote(std::shared_ptr<Zygote> zygote, std::string door, std::shared_ptr<Slot> slot);
  io::Task<void> drop(std::string door);
  io::Task<Expected<std::unique_ptr<Instance>, StartError>> fork_instance(StartContext context, std::shared_ptr<Zygote> zygote, int64_t began_us);
  io::Task<Expected<Forked, StartError>> forked_into(Zygote& zygote, std::optional<sys::Cgroup>& cgroup);
  void open_doors(const std::string& door, sandbox::Sandbox& sandbox, Slot& slot);
  std::optional<sys::Cgroup> group(const std::string& name, uint64_t memory_bytes, uint64_t processes);
  void find_cgroups();
  void write_trust();

  io::Shard& shard_;
  DoorKeeper& doors_;
  RuntimeOptions options_;
  Rng& rng_;
  std::string seccomp_;
  std::optional<sys::CgroupRoot> cgroups_;
  std::string cgroup_name_;  // "mayfly-<pid>", the folder all groups of this server are in
  uint64_t next_group_ = 1;
  std::map<std::string, std::shared_ptr<Slot>> zygotes_;  // by door name
  io::TaskGroup tasks_;                                   // readers of zygotes and workers, DNS
};

}  // namespace mayfly::runtime
