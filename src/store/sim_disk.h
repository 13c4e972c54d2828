#pragma once
// SimDisk: a Disk in memory that behaves like the worst disk the rules allow (reliability.md R8.2). What was not synced may be kept in
// any part when the power is cut:
//   file bytes   each 512-byte sector written since the last sync is kept or reads as zeros; the length is anything from the synced
//                one to the written one, also in the middle of a sector;
//   names        each creation, removal and half of a rename since the folder's last sync is kept or undone, in any combination; a
//                file's sync says nothing about its name, and a new folder is itself a name in its parent;
//   sync         may fail once with EIO: the dirty bytes are lost, still readable until the next cut, and later syncs succeed.
// Space may run out (a short write, then ENOSPC), and bits may flip in what is long durable.
//
// A simulation calls crash() after a power cut, when everything that used the disk is gone, and then power.restore().

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "store/disk.h"
#include "store/sim_power.h"

namespace mayfly::store {

class SimDisk final : public Disk {
 public:
  explicit SimDisk(SimPower& power);
  ~SimDisk() override;

  std::unique_ptr<DiskFile> create(const std::string& path) override;
  std::unique_ptr<DiskFile> open(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  std::vector<std::string> list(const std::string& folder) override;
  void make_folder(const std::string& path) override;
  void sync_folder(const std::string& path) override;
  uint64_t free_bytes() override { return capacity_ - used_; }

  // Loses what was not synced.
  void crash();
  // The `nth` file sync from now (1: the next) fails.
  void fail_sync(uint64_t nth) { fail_sync_in_ = nth; }
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  // Flips one bit of a file, as time does; false if there is no such file or it is empty.
  bool flip_bit(const std::string& path);

 private:
  struct Node;
  class File;
  struct Place {
    Node& folder;
    std::string name;
  };

  Node& folder_at(const std::string& path);
  Place place_of(const std::string& path);
  Node* find(const std::string& path);
  // Counts a step and makes the change. If the cut falls on it, the change is made or not, by chance, and PowerCut is thrown.
  void change(const std::function<void()>& make);
  void crash(Node& node);

  SimPower& power_;
  std::unique_ptr<Node> root_;
  uint64_t capacity_ = uint64_t{1} << 40;
  uint64_t used_ = 0;
  uint64_t fail_sync_in_ = 0;  // 0: none fails
};

}  // namespace mayfly::store
