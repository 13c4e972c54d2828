#include <fcntl.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>

#include "sys/cgroup.h"
#include "sys/fault.h"
#include "sys/file.h"
#include "sys/memfd.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::sys {
namespace {

// For as long as it lives this process may open so many descriptors more.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t more) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    Fd next(::dup(0));  // the lowest that is free
    rlimit limit{static_cast<rlim_t>(next.get()) + more, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

size_t count_open_fds() { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {})); }

TEST(Process, ItsThreadsRunOnTheCoresItIsGiven) {
  auto child = spawn({.path = "/bin/sleep", .arguments = {"sleep", "1000"}});
  auto cores = own_cores();
  ASSERT_FALSE(cores.empty());
  set_cores(child.pidfd, {cores.back()});
  std::string status = read_file("/proc/" + std::to_string(child.pid) + "/status");
  EXPECT_NE(status.find("Cpus_allowed_list:\t" + std::to_string(cores.back()) + "\n"), status.npos) << status;
  kill(child.pidfd, SIGKILL);
  wait_status(child);
  set_cores(child.pidfd, cores);  // nothing, for it has ended
}

TEST(UnixSocket, CarriesBytesDescriptorsAndTheSender) {
  auto [a, b] = socket_pair(SOCK_SEQPACKET);
  pass_credentials(b.get());
  Fd zero = open_file("/dev/zero", O_RDONLY);
  int fd = zero.get();
  ASSERT_TRUE(send_message(a.get(), "hello", {&fd, 1}));
  Message message;
  ASSERT_EQ(receive_message(b.get(), 100, message), Received::message);
  EXPECT_EQ(message.bytes, "hello");
  EXPECT_EQ(message.sender, ::getpid());
  ASSERT_EQ(message.fds.size(), 1u);
  char byte = 'x';
  EXPECT_EQ(::read(message.fds[0].get(), &byte, 1), 1);
  EXPECT_EQ(byte, '\0');
}

TEST(UnixSocket, SaysWhenThereIsNothingWhenItIsTooLongAndWhenTheFarEndIsGone) {
  auto [a, b] = socket_pair(SOCK_SEQPACKET);
  set_nonblocking(b.get());
  Message message;
  EXPECT_EQ(receive_message(b.get(), 100, message), Received::nothing);
  send_message(a.get(), "longer than four bytes");
  EXPECT_THROW(receive_message(b.get(), 4, message), Fault);
  a.reset();
  EXPECT_EQ(receive_message(b.get(), 100, message), Received::closed);
  EXPECT_FALSE(send_message(b.get(), "x"));
}

TEST(UnixSocket, DescriptorsForWhichThereIsNoPlaceAreAFaultAndNoneOfThemStays) {
  auto [a, b] = socket_pair(SOCK_SEQPACKET);
  Fd zero = open_file("/dev/zero", O_RDONLY);
  const int fds[] = {zero.get(), zero.get(), zero.get()};
  size_t open = count_open_fds();
  for (rlim_t places : {0, 2}) {
    ASSERT_TRUE(send_message(a.get(), "three", fds));
    Message message;
    try {
      FewDescriptors few(places);
      receive_message(b.get(), 100, message);
      ADD_FAILURE() << "received with places for " << places;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.error(), EMFILE);
    }
    EXPECT_TRUE(message.fds.empty());
    EXPECT_EQ(count_open_fds(), open);
  }
  Message message;
  send_message(a.get(), "the next", fds);
  EXPECT_EQ(receive_message(b.get(), 100, message), Received::message);
  EXPECT_EQ(message.fds.size(), 3u);
}

TEST(Process, ThatCannotBeHeldIsNotLeftRunning) {
  {
    FewDescriptors none(0);
    EXPECT_THROW(spawn({.path = "/bin/sleep", .arguments = {"sleep", "1000"}}), Fault);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Process, MayOpenAsManyFilesAsTheMachineAllowsItAfterItHasAsked) {
  FewDescriptors few(100);
  raise_open_files();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(Process, GetsItsArgumentsItsEnvironmentAndOneDescriptor) {
  auto [ours, theirs] = socket_pair(SOCK_STREAM);
  auto child = spawn({.path = "/bin/sh", .arguments = {"sh", "-c", "echo $0 $NAME >&3; exit 5", "zero"}, .environment = {"NAME=value"}, .inherited_fd = theirs.get()});
  int status = wait_status(child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  char text[32] = {};
  ASSERT_GT(::read(ours.get(), text, sizeof text), 0);
  EXPECT_STREQ(text, "zero value\n");
}

TEST(Process, IsKilledByItsPidfdOnceAndForAll) {
  auto child = spawn({.path = "/bin/sleep", .arguments = {"sleep", "1000"}});
  EXPECT_GT(peak_memory_bytes(child.pidfd), 0u);
  kill(child.pidfd, SIGKILL);
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
  int status = wait_status(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  kill(child.pidfd, SIGKILL);  // a process that has ended is fine
  EXPECT_EQ(peak_memory_bytes(child.pidfd), 0u);
}

TEST(Process, ItsMemoryIsLimitedFromOutside) {
  Child child = spawn({.path = "/bin/sleep", .arguments = {"sleep", "60"}});
  limit_memory(child.pidfd, 100 << 20);
  EXPECT_NE(read_file("/proc/" + std::to_string(child.pid) + "/limits").find("Max data size             104857600            104857600"), std::string::npos);
  kill(child.pidfd, SIGKILL);
  wait_status(child);
  limit_memory(child.pidfd, 1);
}

TEST(Process, ItsEndIsToldByStatusOrSignal) {
  EXPECT_EQ(how_it_ended(3 << 8), "with status 3");
  EXPECT_EQ(how_it_ended(SIGSEGV), "by signal 11 (SIGSEGV)");
  EXPECT_EQ(how_it_ended(SIGRTMIN + 3), "by signal 37") << "it has no name";
}

TEST(Process, ThatDoesNotExistIsAFault) { EXPECT_THROW(spawn({.path = "/no/such/program", .arguments = {"x"}}), Fault); }

// A machine's cgroup file systems as files of a folder.
class CgroupsOfAMachine : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/mayfly-test-XXXXXX";
    ASSERT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  void TearDown() override { remove_tree(folder_); }
  std::string mounted(const std::string& kind, const std::string& options) {
    make_folders(folder_ + "/" + options);
    return fmt::format("35 31 0:32 / {0}/{1} rw,relatime - {2} {2} rw,{1}\n", folder_, options, kind);
  }

  std::string folder_, why_;
};

TEST_F(CgroupsOfAMachine, OfTheOldKindAreUsedWhenBothControllersAreThere) {
  std::string memory = mounted("cgroup", "memory"), pids = mounted("cgroup", "pids"), groups = "4:memory:/\n8:pids:/\n";
  for (const auto& only : {memory, pids}) EXPECT_FALSE(CgroupRoot::find(why_, groups, only));
  EXPECT_EQ(why_, "the cgroup controller \"memory\" is not mounted");
  EXPECT_FALSE(CgroupRoot::find(why_, groups, memory));
  EXPECT_EQ(why_, "the cgroup controller \"pids\" is not mounted");
  auto both = CgroupRoot::find(why_, groups, memory + pids);
  ASSERT_TRUE(both) << why_;
  EXPECT_EQ(both->folders(), (std::map<std::string, std::string>{{"memory", folder_ + "/memory"}, {"pids", folder_ + "/pids"}}));
}

TEST_F(CgroupsOfAMachine, OfTheNewKindAreTheGroupsThatTheServerWasStartedInHoweverOftenItLooks) {
  std::string mount = mounted("cgroup2", "unified");
  for (std::string group : {"", "/unit"}) {
    for (std::string leaf : {"", "/mayfly.server"}) {
      make_folders(folder_ + "/unified" + group + leaf);
      write_file(folder_ + "/unified" + group + leaf + "/cgroup.controllers", "cpu memory pids\n");
    }
    for (std::string leaf : {"", "/mayfly.server"}) {
      std::string own = group + leaf;
      auto found = CgroupRoot::find(why_, "0::" + (own.empty() ? "/" : own) + "\n", mount);
      ASSERT_TRUE(found) << why_;
      EXPECT_TRUE(found->unified());
      EXPECT_EQ(found->folders().at(""), folder_ + "/unified" + group) << own;
    }
  }
}

class InCgroup : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    root_ = CgroupRoot::find(why);
    if (!root_) GTEST_SKIP() << "cgroups cannot be made here: " << why;
  }
  std::optional<CgroupRoot> root_;
};

TEST_F(InCgroup, ProcessesEnterByThemselvesAndAreHeldToItsLimits) {
  Cgroup group(*root_, "mayfly-test-" + std::to_string(::getpid()), {.memory_bytes = 64 << 20, .processes = 10});
  auto entries = group.entries();
  auto child = spawn({.path = "/bin/sh", .arguments = {"sh", "-c", "echo 0 >&3; exec grep -q mayfly-test /proc/self/cgroup"}, .inherited_fd = entries.at(0).get()});
  EXPECT_EQ(wait_status(child), 0);
  auto hog = spawn({.path = "/usr/bin/python3", .arguments = {"python3", "-S", "-c", "import os\nos.write(3, b'0')\nbytearray(1 << 30)"}, .inherited_fd = entries.at(0).get()});
  int status = wait_status(hog);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(group.memory_kills(), 1u);
  EXPECT_GT(group.peak_bytes(), 32u << 20);
  EXPECT_TRUE(group.remove());
  EXPECT_TRUE(group.remove()) << "again is fine";
}

TEST_F(InCgroup, LimitsMayComeLater) {
  Cgroup group(*root_, "mayfly-later-" + std::to_string(::getpid()), {});
  group.set_limits({.memory_bytes = 64 << 20, .processes = 1});
  auto entries = group.entries();
  std::string program = "import os, sys\nos.write(3, b'0')\ntry: os.fork()\nexcept BlockingIOError: sys.exit(7)\n";
  // On v1 each controller has an entry of its own, in the order of their names: the last is that of the processes.
  auto child = spawn({.path = "/usr/bin/python3", .arguments = {"python3", "-S", "-c", program}, .inherited_fd = entries.back().get()});
  int status = wait_status(child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  EXPECT_TRUE(group.remove());
}

TEST_F(InCgroup, ThoseOfAServerThatIsGoneAreRemovedAndThoseOfOneThatLivesAreNot) {
  auto gone = spawn({.path = "/bin/true", .arguments = {"true"}});
  wait_status(gone);
  std::string prefix = "mayfly-stale-" + std::to_string(::getpid()) + "-";
  Cgroup stale(*root_, prefix + std::to_string(gone.pid), {}), inner(*root_, prefix + std::to_string(gone.pid) + "/instance", {});
  Cgroup ours(*root_, prefix + std::to_string(::getpid()), {});
  remove_stale_cgroups(*root_, prefix);
  for (const auto& [controller, folder] : root_->folders()) {
    EXPECT_FALSE(exists(folder + "/" + prefix + std::to_string(gone.pid)));
    EXPECT_TRUE(exists(folder + "/" + prefix + std::to_string(::getpid())));
  }
  EXPECT_TRUE(ours.remove());
}

TEST(Memfd, HandsBytesOverThatNobodyCanChange) {
  Fd file = sealed_memfd("a photo");
  EXPECT_EQ(*read_sealed(file, 7), "a photo");
  EXPECT_EQ(*read_sealed(file, 1), "a");
  EXPECT_EQ(::pwrite(file.get(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(file.get(), 0), -1);
}

TEST(Memfd, WhatIsShortOrUnsealedOrNoSuchFileIsNotRead) {
  EXPECT_FALSE(read_sealed(sealed_memfd("short"), 6));
  Fd open_file(::memfd_create("open", MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(open_file.get(), "abc", 3), 3);
  EXPECT_FALSE(read_sealed(open_file, 3));
  EXPECT_FALSE(read_sealed(Fd(::open("/dev/zero", O_RDONLY)), 3));
}

}  // namespace
}  // namespace mayfly::sys
