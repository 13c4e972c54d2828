#include "store/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "sys/fault.h"

namespace mayfly::store {
namespace {

constexpr size_t kSectorBytes = 512;  // what a disk writes whole or not at all

// How much of what was not synced a crash keeps: all and nothing are as likely as some, since they hide different bugs.
enum class Keep { all, nothing, some };
Keep choose(SimPower& power) {
  switch (power.rng().below(4)) {
    case 0: return Keep::all;
    case 1: return Keep::nothing;
    default: return Keep::some;
  }
}
bool keeps(Keep keep, SimPower& power) { return keep == Keep::all || (keep == Keep::some && power.coin()); }

}  // namespace

// A file or a folder. Shared by the names that lead to it, of which a rename cut in half leaves two, and by open files.
struct SimDisk::Node {
  struct Extent {
    size_t offset;
    size_t size;
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;
  struct NameChange {
    std::string name;
    std::shared_ptr<Node> node;  // null: removed
  };

  bool is_folder = false;
  // A file: what reads see, what a cut leaves for certain, and where they differ since the last sync.
  std::string bytes, durable_bytes;
  std::vector<Extent> dirty;
  // A folder, likewise.
  Names names, durable_names;
  std::vector<NameChange> changes;

  void set(const std::string& name, std::shared_ptr<Node> node) {
    apply(names, name, node);
    changes.push_back({name, std::move(node)});
  }
  static void apply(Names& names, const std::string& name, const std::shared_ptr<Node>& node) {
    if (node) names[name] = node;
    else names.erase(name);
  }
};

class SimDisk::File final : public DiskFile {
 public:
  File(SimDisk& disk, std::shared_ptr<Node> node) : disk_(disk), node_(std::move(node)) {}

  void append(std::string_view data) override {
    disk_.change([&] {
      size_t fits = static_cast<size_t>(std::min<uint64_t>(data.size(), disk_.free_bytes()));
      node_->dirty.push_back({node_->bytes.size(), fits});
      node_->bytes.append(data.substr(0, fits));
      disk_.used_ += fits;
      if (fits < data.size()) throw sys::Fault("write", "simulated disk", ENOSPC);
    });
  }

  size_t read_at(uint64_t offset, char* out, size_t size) override {
    disk_.power_.require();
    if (offset >= node_->bytes.size()) return 0;
    size_t got = std::min(size, node_->bytes.size() - static_cast<size_t>(offset));
    std::memcpy(out, node_->bytes.data() + offset, got);
    return got;
  }

  uint64_t size() override {
    disk_.power_.require();
    return node_->bytes.size();
  }

  void sync() override {
    disk_.change([&] {
      auto dirty = std::exchange(node_->dirty, {});
      if (disk_.fail_sync_in_ > 0 && --disk_.fail_sync_in_ == 0) throw sys::Fault("fdatasync", "simulated disk", EIO);
      // Only what is still dirty reaches the disk: a failed sync before this one has made the kernel forget the rest.
      node_->durable_bytes.resize(node_->bytes.size());
      for (auto [offset, size] : dirty) node_->durable_bytes.replace(offset, size, node_->bytes, offset, size);
    });
  }

 private:
  SimDisk& disk_;
  std::shared_ptr<Node> node_;
};

SimDisk::SimDisk(SimPower& power) : power_(power), root_(std::make_unique<Node>()) { root_->is_folder = true; }
SimDisk::~SimDisk() = default;

SimDisk::Node* SimDisk::find(const std::string& path) {
  Node* node = root_.get();
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    auto child = node->names.find(path.substr(at, end - at));
    if (child == node->names.end()) return nullptr;
    node = child->second.get();
    at = end + 1;
  }
  return node;
}

SimDisk::Node& SimDisk::folder_at(const std::string& path) {
  Node* node = find(path);
  if (node == nullptr || !node->is_folder) throw sys::Fault("open folder", path, ENOENT);
  return *node;
}

SimDisk::Place SimDisk::place_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {*root_, path};
  return {folder_at(path.substr(0, slash)), path.substr(slash + 1)};
}

void SimDisk::change(const std::function<void()>& make) {
  power_.require();
  if (!power_.strikes()) return make();
  try {
    if (power_.coin()) make();
  } catch (const sys::Fault&) {
    // the power is gone before the fault is seen
  }
  power_.cut();
}

std::unique_ptr<DiskFile> SimDisk::create(const std::string& path) {
  auto node = std::make_shared<Node>();
  change([&] {
    auto [folder, name] = place_of(path);
    if (folder.names.contains(name)) throw sys::Fault("open", path, EEXIST);
    folder.set(name, node);
  });
  return std::make_unique<File>(*this, node);
}

std::unique_ptr<DiskFile> SimDisk::open(const std::string& path) {
  power_.require();
  auto [folder, name] = place_of(path);
  auto found = folder.names.find(name);
  if (found == folder.names.end() || found->second->is_folder) throw sys::Fault("open", path, ENOENT);
  return std::make_unique<File>(*this, found->second);
}

void SimDisk::rename(const std::string& from, const std::string& to) {
  change([&] {
    auto source = place_of(from), target = place_of(to);
    auto found = source.folder.names.find(source.name);
    if (found == source.folder.names.end()) throw sys::Fault("rename", from, ENOENT);
    auto node = found->second;
    target.folder.set(target.name, node);
    source.folder.set(source.name, nullptr);
  });
}

void SimDisk::remove(const std::string& path) {
  change([&] {
    auto [folder, name] = place_of(path);
    auto found = folder.names.find(name);
    if (found == folder.names.end()) return;
    used_ -= std::min<uint64_t>(used_, found->second->bytes.size());
    folder.set(name, nullptr);
  });
}

std::vector<std::string> SimDisk::list(const std::string& folder) {
  power_.require();
  std::vector<std::string> names;
  for (const auto& [name, node] : folder_at(folder).names) names.push_back(name);
  return names;
}

void SimDisk::make_folder(const std::string& path) {
  if (find(path) != nullptr) return power_.require();
  auto node = std::make_shared<Node>();
  node->is_folder = true;
  change([&] {
    auto [folder, name] = place_of(path);
    folder.set(name, node);
  });
}

void SimDisk::sync_folder(const std::string& path) {
  change([&] {
    Node& folder = folder_at(path);
    for (const auto& [name, node] : std::exchange(folder.changes, {})) Node::apply(folder.durable_names, name, node);
  });
}

void SimDisk::crash() {
  MAYFLY_CHECK(!power_.is_on());
  crash(*root_);
  used_ = 0;
  auto add_up = [this](auto& self, const Node& node) -> void {
    used_ += node.bytes.size();
    for (const auto& [name, child] : node.names) self(self, *child);
  };
  add_up(add_up, *root_);
}

void SimDisk::crash(Node& node) {
  Keep keep = choose(power_);
  for (const auto& [name, child] : std::exchange(node.changes, {})) {
    if (keeps(keep, power_)) Node::apply(node.durable_names, name, child);
  }
  node.names = node.durable_names;
  for (const auto& [name, child] : node.names) crash(*child);

  size_t written = node.bytes.size(), synced = node.durable_bytes.size();
  if (!node.dirty.empty()) {
    size_t size = keep == Keep::all ? written : keep == Keep::nothing ? synced : synced + power_.rng().below(written - synced + 1);
    node.durable_bytes.resize(size);
    for (auto [offset, length] : std::exchange(node.dirty, {})) {
      size_t end = std::min(offset + length, size);
      for (size_t at = offset; at < end;) {
        size_t next = std::min(end, (at / kSectorBytes + 1) * kSectorBytes);
        if (keeps(keep, power_)) node.durable_bytes.replace(at, next - at, node.bytes, at, next - at);
        at = next;
      }
    }
  }
  node.bytes = node.durable_bytes;
}

bool SimDisk::flip_bit(const std::string& path) {
  Node* node = find(path);
  if (node == nullptr || node->durable_bytes.empty() || node->bytes.size() != node->durable_bytes.size()) return false;
  size_t at = power_.rng().below(node->durable_bytes.size());
  char bit = static_cast<char>(1 << power_.rng().below(8));
  node->durable_bytes[at] = static_cast<char>(node->durable_bytes[at] ^ bit);
  node->bytes[at] = static_cast<char>(node->bytes[at] ^ bit);
  return true;
}

}  // namespace mayfly::store
