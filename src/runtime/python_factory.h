#pragma once
// The executor of Python: one zygote per function revision, and instances forked from it (DESIGN 4.8). See zygote.h.

#include <map>
#include <memory>
#include <string>

#include "runtime/host.h"
#include "runtime/zygote.h"

namespace mayfly::runtime {

class PythonFactory final : public InstanceFactory {
 public:
  explicit PythonFactory(Host& host);
  ~PythonFactory() override;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  io::Task<void> prepare(std::shared_ptr<const functions::Runnable> runnable) override;
  io::Task<void> forget(std::string key, uint64_t revision) override;
  io::Task<void> stop() override;

 private:
  using ZygoteResult = Expected<std::shared_ptr<Zygote>, StartError>;
  // A zygote that stands or is being made; several starts may wait for the same one.
  struct Slot {
    explicit Slot(io::Loop& loop) : done(loop) {}
    io::Signal done;
    std::optional<ZygoteResult> result;
  };

  io::Task<ZygoteResult> zygote_for(StartContext context);
  io::Task<ZygoteResult> make_zygote(StartContext context);
  io::Task<void> drop(std::string revision);
  io::Task<Expected<std::unique_ptr<Instance>, StartError>> fork_instance(StartContext context, std::shared_ptr<Zygote> zygote, int64_t began_us);
  io::Task<Expected<Forked, StartError>> forked_into(Zygote& zygote, std::optional<sys::Cgroup>& cgroup);

  Host& host_;
  std::string seccomp_;
  std::map<std::string, std::shared_ptr<Slot>> zygotes_;  // by door_name()
};

}  // namespace mayfly::runtime
