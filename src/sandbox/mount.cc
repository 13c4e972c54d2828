#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "sandbox/steps.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::sandbox {
namespace {

// Any folder that every machine has: in the new mount namespace it carries the new root until that becomes "/".
constexpr const char* kStage = "/tmp";
// The root holds only folders, links and the few files of /etc; what functions write goes to their own /tmp.
constexpr const char* kRootOptions = "mode=755,size=4m,nr_inodes=4096";
// A sandbox's own files lie here in a file system of their own; the root, which all sandboxes share, has links to them.
constexpr const char* kFiles = "/mayfly/files";
constexpr const char* kFilesOptions = "mode=755,size=1m,nr_inodes=256";

bool is_device(const Bind& bind) { return bind.target.starts_with("/dev/"); }

constexpr uint64_t kSharedMemoryBytes = 64 << 20;  // /dev/shm, for locks and small buffers; it counts as the function's memory

std::string tmp_options(uint64_t bytes) { return "mode=1777,size=" + std::to_string(bytes); }

int open_tree(const std::string& path, unsigned flags) {
  return static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
}

Tree take(const Bind& bind) {
  int fd = open_tree(bind.source, AT_RECURSIVE);
  if (fd < 0 && errno == ENOENT && bind.optional) return {};
  Tree tree{sys::Fd(static_cast<int>(sys::check(fd, "open_tree", bind.source))), bind.target};
  mount_attr attributes{};
  // A device works on a read-only mount, but not on one without devices.
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (is_device(bind) ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV);
  sys::check(::syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes), "mount_setattr", bind.source);
  return tree;
}

// Where `target` is while the new root is still on the stage.
std::string staged(const std::string& target) { return kStage + target; }

void attach(const Tree& tree, const std::string& target) {
  sys::check(::syscall(SYS_move_mount, tree.mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH), "move_mount", tree.target);
}

// A path by which `target` in the root's own file system is reached, whatever lies over it.
std::string under(const sys::Fd& root, const std::string& target) { return "/proc/self/fd/" + std::to_string(root.get()) + target; }

void mount_new(const char* kind, const char* target, unsigned long flags, const std::string& options) {
  sys::check(::mount(kind, target, kind, flags, options.c_str()), "mount", target);
}

// /bin, /lib and their kind are links into /usr on a merged system, and folders on others (those come as binds).
void copy_links() {
  for (const char* name : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    std::error_code none;
    auto to = std::filesystem::read_symlink(name, none);
    if (!none && ::symlink(to.c_str(), staged(name).c_str()) < 0) throw sys::Fault("symlink", name, errno);
  }
}

void make_links() {
  const std::pair<const char*, const char*> links[] = {
      {"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}, {"/tmp", "/var/tmp"}};
  for (const auto& [to, from] : links) sys::check(::symlink(to, staged(from).c_str()), "symlink", from);
}

void pivot() {
  sys::check(::chdir(kStage), "chdir", kStage);
  sys::check(::syscall(SYS_pivot_root, ".", "."), "pivot_root");  // the old root now lies over the new one
  sys::check(::umount2(".", MNT_DETACH), "umount", "the host's root");
  sys::check(::chdir("/"), "chdir", "/");
  sys::check(::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr), "mount", "/ read-only");
}

}  // namespace

std::vector<Tree> take_trees(const std::vector<Bind>& binds) {
  std::vector<Tree> trees;
  for (const auto& bind : binds) {
    Tree tree = take(bind);
    if (tree.mount) trees.push_back(std::move(tree));
  }
  return trees;
}

sys::Fd enter_root(std::vector<Tree> trees) {
  sys::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", "/ private");
  sys::check(::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, kRootOptions), "mount", "new root");
  sys::Fd root(static_cast<int>(sys::check(open_tree(kStage, 0), "open_tree", "new root")));
  for (const char* folder : {"/proc", "/tmp", "/dev", "/dev/shm", "/etc", "/opt", "/code", "/var", "/home", "/root", "/run", kFiles}) {
    sys::make_folders(staged(folder));
  }
  copy_links();
  make_links();
  make_mount_points(root, trees);
  for (const auto& tree : trees) attach(tree, staged(tree.target));
  mount_new("proc", staged("/proc").c_str(), MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
  pivot();
  return root;
}

void make_mount_points(const sys::Fd& root, const std::vector<Tree>& trees) {
  for (const auto& tree : trees) {
    std::string target = under(root, tree.target);
    if (sys::exists(target)) continue;
    struct stat about;
    sys::check(::fstat(tree.mount.get(), &about), "fstat", tree.target);
    bool folder = S_ISDIR(about.st_mode);
    sys::make_folders(folder ? target : std::filesystem::path(target).parent_path().string());
    if (!folder) sys::write_file(target, "");
  }
}

void make_file_links(const sys::Fd& root, const std::map<std::string, std::string>& files) {
  for (const auto& [path, text] : files) {
    std::string link = under(root, path);
    sys::make_folders(std::filesystem::path(link).parent_path().string());
    if (::symlink((kFiles + path).c_str(), link.c_str()) < 0 && errno != EEXIST) throw sys::Fault("symlink", path, errno);
  }
}

void mount_own() {
  mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
  mount_new("tmpfs", kFiles, MS_NOSUID | MS_NODEV | MS_NOEXEC, kFilesOptions);
  mount_new("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, tmp_options(kUsualTmpBytes));
  mount_new("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=" + std::to_string(kSharedMemoryBytes));
}

void attach_trees(const std::vector<Tree>& trees) {
  for (const auto& tree : trees) attach(tree, tree.target);
}

void write_files(const std::map<std::string, std::string>& files) {
  std::string made;  // the folder last made: neighbours come together
  for (const auto& [path, text] : files) {
    std::string folder = std::filesystem::path(kFiles + path).parent_path();
    if (std::exchange(made, folder) != folder) sys::make_folders(folder);
    sys::write_file(kFiles + path, text);
  }
  sys::check(::mount(nullptr, kFiles, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "mount", "files read-only");
}

void make_private(uint64_t tmp_bytes) {
  if (tmp_bytes != kUsualTmpBytes) sys::check(::mount(nullptr, "/tmp", nullptr, MS_REMOUNT | MS_NOSUID | MS_NODEV, tmp_options(tmp_bytes).c_str()), "mount", "/tmp size");
  constexpr unsigned long kReadOnly = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  sys::check(::mount(nullptr, "/proc", nullptr, kReadOnly, nullptr), "mount", "/proc read-only");
}

}  // namespace mayfly::sandbox
