#pragma once
// The executor of Python: one zygote per function revision, and instances forked from it (DESIGN 4.8), see zygote.h. A zygote begins as an
// interpreter that has imported what most functions need and nothing of anyone; one or more of these wait ready (stock.h). Of a
// revision that has been started lately some forks are made ahead, too: shut in, in a memory group of their own, without a byte of the
// function's code run; a start gives one its credentials and has it import the function. A fork serves its own revision or nobody.

#include <map>
#include <memory>
#include <string>

#include "runtime/host.h"
#include "runtime/stock.h"
#include "runtime/zygote.h"

namespace mayfly::runtime {

class PythonFactory final : public InstanceFactory {
 public:
  explicit PythonFactory(Host& host);
  ~PythonFactory() override;

  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) override;
  void expect(const functions::Runnable& runnable) override;
  size_t ready() const override { return forks_.ready() + interpreters_.ready(); }
  io::Task<void> forget(std::string key, uint64_t revision) override;
  io::Task<void> stop() override;
  const auto& forks() const { return forks_; }
  const auto& interpreters() const { return interpreters_; }

 private:
  using ZygoteResult = Expected<std::shared_ptr<Zygote>, StartError>;
  // A zygote that stands or is being made; several starts may wait for the same one.
  struct Slot {
    explicit Slot(io::Loop& loop) : done(loop) {}
    io::Signal done;
    std::optional<ZygoteResult> result;
  };

  // A fork that waits for its start, and the group it is in.
  struct Fork {
    std::shared_ptr<Zygote> zygote;  // shared with its reader and the instances
    Forked process;
    std::optional<sys::Cgroup> cgroup;
  };

  io::Task<ZygoteResult> zygote_for(StartContext context);
  io::Task<ZygoteResult> make_zygote(StartContext context);
  io::Task<Expected<std::shared_ptr<Box>, StartError>> launch_interpreter();
  io::Task<std::optional<std::shared_ptr<Box>>> interpreter_ahead();
  io::Task<void> drop(std::string revision);
  Stock<Fork>::Make make_ahead(const functions::Runnable& runnable);
  io::Task<std::optional<Fork>> fork_ahead(std::string revision, uint64_t memory_bytes);
  io::Task<Expected<Fork, StartError>> fork(std::shared_ptr<Zygote> zygote, uint64_t memory_bytes, Zygote::For purpose);
  io::Task<void> discard(Fork fork);
  io::Task<Expected<std::unique_ptr<Instance>, StartError>> start_in(StartContext context, Fork fork, int64_t began_us, int64_t zygote_us);

  Host& host_;
  std::string seccomp_;
  std::map<std::string, std::shared_ptr<Slot>> zygotes_;  // by door_name()
  Stock<Fork> forks_;                                     // by door_name()
  Stock<std::shared_ptr<Box>> interpreters_;              // of one kind
};

}  // namespace mayfly::runtime
