#pragma once
// SimVfs: the files of an SQLite engine on a simulated machine (reliability.md R8.2). It is registered with SQLite under name() while
// it lives; open_sqlite_engine(path, name()) puts the engine on it. When the power is cut, each 512-byte sector written since a
// file's last sync is kept or not, a truncation likewise; new and deleted names are certain only once the folder was synced, which
// happens, as in SQLite's own layer for Linux, with the first sync of a new journal or log. From the cut on every call fails, which
// the engine reports as a sys::Fault; destroy the engine, then call crash() and power.restore(), and open it again. `Syncs::ignored`
// plants the fault that no sync does anything. Single-threaded.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "store/sim_power.h"

namespace mayfly::store {

class SimVfs {
 public:
  enum class Syncs { honoured, ignored };

  explicit SimVfs(SimPower& power, Syncs syncs = Syncs::honoured);
  SimVfs(const SimVfs&) = delete;
  ~SimVfs();

  const std::string& name() const { return name_; }
  void crash();

 private:
  friend struct SimVfsCalls;  // SQLite's C callbacks
  struct File;
  struct Registration;

  // Counts a step and makes the change; false without power, or when the cut falls on it (the change is made or not, by chance).
  bool change(const std::function<void()>& make);
  void sync(File& file);

  SimPower& power_;
  Syncs syncs_;
  std::string name_;
  std::map<std::string, std::shared_ptr<File>> files_;  // shared with SQLite's open handles
  std::unique_ptr<Registration> registration_;
};

}  // namespace mayfly::store
