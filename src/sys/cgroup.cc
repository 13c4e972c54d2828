#include "sys/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <sstream>

#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sys {
namespace {

constexpr const char* kUsed[] = {"memory", "pids"};

// "4:memory:/a/b" lines of /proc/self/cgroup: controller -> path; the v2 line has an empty controller.
std::map<std::string, std::string> own_groups(const std::string& text) {
  std::map<std::string, std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    std::string path = line.substr(second + 1);
    if (second == first + 1) out[""] = path;
    for (std::string name; std::getline(names, name, ',');) out[name] = path;
  }
  return out;
}

struct CgroupMount {
  std::string point, root;  // where, and which folder of the hierarchy is there
};

// Mount points from /proc/self/mountinfo: controller -> mount; "" for v2.
std::map<std::string, CgroupMount> mounts(const std::string& text) {
  std::map<std::string, CgroupMount> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash)), tail(line.substr(dash + 3));
    std::string id, parent, device, root, point, kind, source, options;
    head >> id >> parent >> device >> root >> point;
    tail >> kind >> source >> options;
    if (kind == "cgroup2") out[""] = {point, root};
    if (kind != "cgroup") continue;
    std::istringstream names(options);
    for (std::string name; std::getline(names, name, ',');) out[name] = {point, root};
  }
  return out;
}

std::string folder_of(const CgroupMount& mount, const std::string& group) {
  std::string inside = mount.root != "/" && group.starts_with(mount.root) ? group.substr(mount.root.size()) : group;
  std::string out = mount.point + (inside == "/" ? "" : inside);
  return exists(out) ? out : mount.point;
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;) {
    if (each == word) return true;
  }
  return false;
}

uint64_t number(const std::string& text) {
  uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

// The number after `word` in "word 12" lines.
uint64_t counter(const std::string& path, std::string_view word) {
  std::istringstream lines(read_file_if_exists(path).value_or(""));
  std::string name, value;
  while (lines >> name >> value) {
    if (name == word) return number(value);
  }
  return 0;
}

void make_group(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) throw Fault("mkdir", folder, errno);
}

// On v2 a group that has sub-groups with controllers may hold no process itself: the server moves into a leaf of its own group.
constexpr std::string_view kLeaf = "/mayfly.server";

void leave_inner_group(const std::string& folder) {
  try {
    write_file(folder + "/cgroup.subtree_control", "+memory +pids");
  } catch (const Fault& fault) {
    if (fault.error() != EBUSY) throw;
    std::string leaf = folder + std::string(kLeaf);
    make_group(leaf);
    write_file(leaf + "/cgroup.procs", std::to_string(::getpid()));
    write_file(folder + "/cgroup.subtree_control", "+memory +pids");
  }
}

// The group that the server was in before it moved: each of its shards looks for it.
std::string without_leaf(std::string group) {
  if (group.ends_with(kLeaf)) group.resize(group.size() - kLeaf.size());
  return group.empty() ? "/" : group;
}

}  // namespace

std::optional<CgroupRoot> CgroupRoot::find(std::string& why) { return find(why, read_file("/proc/self/cgroup"), read_file("/proc/self/mountinfo")); }

std::optional<CgroupRoot> CgroupRoot::find(std::string& why, const std::string& groups, const std::string& mountinfo) {
  auto own = own_groups(groups);
  auto mounted = mounts(mountinfo);
  CgroupRoot out;
  // v2 when its tree offers the memory controller; a hybrid machine mounts it empty beside v1.
  if (mounted.contains("")) {
    std::string folder = folder_of(mounted[""], without_leaf(own[""]));
    if (has_word(read_file_if_exists(folder + "/cgroup.controllers").value_or(""), "memory")) {
      out.unified_ = true;
      out.folders_[""] = folder;
    }
  }
  if (!out.unified_) {
    for (const char* controller : kUsed) {
      if (!mounted.contains(controller)) {
        why = fmt::format("the cgroup controller \"{}\" is not mounted", controller);
        return std::nullopt;
      }
      out.folders_[controller] = folder_of(mounted[controller], own[controller]);
    }
  }
  for (const auto& [controller, folder] : out.folders_) {
    if (::access(folder.c_str(), W_OK) == 0) continue;
    why = folder + ": " + strerrordesc_np(errno);
    return std::nullopt;
  }
  try {
    if (out.unified_) leave_inner_group(out.folders_[""]);
  } catch (const Fault& fault) {
    why = fault.what();
    return std::nullopt;
  }
  return out;
}

Cgroup::Cgroup(const CgroupRoot& root, const std::string& name, CgroupLimits limits) : unified_(root.unified()) {
  for (const auto& [controller, folder] : root.folders()) {
    std::string path = folder + "/" + name;
    if (unified_) {  // a group's controllers are switched on in its parent
      std::string parent = std::filesystem::path(path).parent_path();
      write_file(parent + "/cgroup.subtree_control", "+memory +pids");
    }
    make_group(path);
    folders_[controller] = path;
  }
  set_limits(limits);
  std::string memory = folders_[unified_ ? "" : "memory"];
  if (!memory.empty()) peak_ = Fd(::open((memory + (unified_ ? "/memory.peak" : "/memory.max_usage_in_bytes")).c_str(), O_RDONLY | O_CLOEXEC));
}

void Cgroup::set_limits(CgroupLimits limits) {
  std::string memory = folders_[unified_ ? "" : "memory"], pids = folders_[unified_ ? "" : "pids"];
  if (!memory.empty() && limits.memory_bytes > 0) {
    write_file(memory + (unified_ ? "/memory.max" : "/memory.limit_in_bytes"), std::to_string(limits.memory_bytes));
    std::string swap = memory + (unified_ ? "/memory.swap.max" : "/memory.swappiness");
    if (exists(swap)) write_file(swap, "0");  // a function over its limit ends; it does not crawl
  }
  if (!pids.empty() && limits.processes > 0) write_file(pids + "/pids.max", std::to_string(limits.processes));
}

std::vector<Fd> Cgroup::entries() const {
  std::vector<Fd> out;
  for (const auto& [controller, folder] : folders_) out.push_back(open_file(folder + (unified_ ? "/cgroup.procs" : "/tasks"), O_WRONLY));
  return out;
}

uint64_t Cgroup::peak_bytes() const {
  char text[32];
  ssize_t got = peak_ ? ::pread(peak_.get(), text, sizeof text, 0) : 0;
  return got > 0 ? number(std::string(text, static_cast<size_t>(got))) : 0;
}

uint64_t Cgroup::memory_kills() const {
  auto found = folders_.find(unified_ ? "" : "memory");
  if (found == folders_.end()) return 0;
  return counter(found->second + (unified_ ? "/memory.events" : "/memory.oom_control"), "oom_kill");
}

bool Cgroup::remove() {
  peak_.reset();
  for (const auto& [controller, folder] : folders_) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) continue;
    if (errno == EBUSY) return false;
    throw Fault("rmdir", folder, errno);
  }
  return true;
}

namespace {

// Kills who is inside and removes the folder, deepest first. What still will not go is left for the next start.
void remove_group_tree(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.is_directory()) remove_group_tree(entry.path());
  }
  std::istringstream inside(read_file_if_exists(folder / "cgroup.procs").value_or(""));
  for (pid_t pid; inside >> pid;) ::kill(pid, SIGKILL);
  ::rmdir(folder.c_str());
}

}  // namespace

int remove_stale_cgroups(const CgroupRoot& root, const std::string& prefix) {
  int removed = 0;
  for (const auto& [controller, folder] : root.folders()) {
    std::error_code ignored;
    std::vector<std::filesystem::path> stale;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      std::string name = entry.path().filename();
      if (!entry.is_directory() || !name.starts_with(prefix)) continue;
      auto pid = static_cast<pid_t>(number(name.substr(prefix.size())));
      if (pid > 0 && ::kill(pid, 0) < 0 && errno == ESRCH) stale.push_back(entry.path());
    }
    for (const auto& path : stale) remove_group_tree(path), ++removed;
  }
  return removed;
}

}  // namespace mayfly::sys
