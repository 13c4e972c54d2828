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

bool is_device(const Bind& bind) { return bind.target.starts_with("/dev/"); }

Tree take(const Bind& bind) {
  int fd = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, bind.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (fd < 0 && errno == ENOENT && bind.optional) return {};
  Tree tree{sys::Fd(static_cast<int>(sys::check(fd, "open_tree", bind.source))), bind.target};
  mount_attr attributes{};
  // A device works on a read-only mount, but not on one without devices.
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (is_device(bind) ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV);
  sys::check(::syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes), "mount_setattr", bind.source);
  struct stat about;
  sys::check(::fstat(fd, &about), "fstat", bind.source);
  tree.folder = S_ISDIR(about.st_mode);
  return tree;
}

// Where `target` is while the new root is still on the stage.
std::string staged(const std::string& target) { return kStage + target; }

void attach(const Tree& tree) {
  std::string target = staged(tree.target);
  if (!sys::exists(target)) {
    sys::make_folders(tree.folder ? target : std::filesystem::path(target).parent_path().string());
    if (!tree.folder) sys::write_file(target, "");
  }
  sys::check(::syscall(SYS_move_mount, tree.mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH), "move_mount", tree.target);
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

void enter_root(std::vector<Tree> trees, const std::map<std::string, std::string>& files) {
  sys::check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", "/ private");
  sys::check(::mount("tmpfs", kStage, "tmpfs", MS_NOSUID | MS_NODEV, kRootOptions), "mount", "new root");
  for (const char* folder : {"/proc", "/tmp", "/dev", "/dev/shm", "/etc", "/opt", "/code", "/var", "/home", "/root", "/run"}) {
    sys::make_folders(staged(folder));
  }
  copy_links();
  make_links();
  for (const auto& tree : trees) attach(tree);
  for (const auto& [path, text] : files) {
    sys::make_folders(std::filesystem::path(staged(path)).parent_path().string());
    sys::write_file(staged(path), text);
  }
  sys::check(::mount("proc", staged("/proc").c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "mount", "/proc");
  pivot();
}

}  // namespace mayfly::sandbox
