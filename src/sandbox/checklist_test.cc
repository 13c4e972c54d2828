// The checklist of docs/SANDBOX.md, from inside: each row is a thing a confined program must not be able to do, tried by one.
#include "sandbox/checklist.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "sandbox/fixture.h"

namespace mayfly::sandbox {
namespace {

class Checklist : public InNursery, public testing::WithParamInterface<Row> {
 protected:
  Host host_;
};

TEST_P(Checklist, IsRefused) {
  EXPECT_EQ(printed_by(python_plan(kPrelude + host_.filled_in("print(" + std::string(GetParam().tried) + ")"))), GetParam().expected + std::string("\n"));
}

std::string name_of(const testing::TestParamInfo<Row>& row) { return row.param.name; }
INSTANTIATE_TEST_SUITE_P(Everywhere, Checklist, testing::ValuesIn(kRows), name_of);
INSTANTIATE_TEST_SUITE_P(Confined, Checklist, testing::ValuesIn(kConfinedRows), name_of);

class Contained : public InNursery {
 protected:
  void SetUp() override {
    InNursery::SetUp();
    root_ = sys::CgroupRoot::find(why_);
  }
  sys::Cgroup group(sys::CgroupLimits limits) { return sys::Cgroup(*root_, fmt::format("mayfly-checklist-{}-{}", ::getpid(), ++groups_), limits); }
  static Plan python(const std::string& program) { return python_plan(kPrelude + program); }

  std::optional<sys::CgroupRoot> root_;
  std::string why_;
  int groups_ = 0;
};

TEST_F(Contained, AnotherFunctionsCodeAndTmpAreNotThere) {
  for (const char* name : {"one", "other"}) {
    sys::make_folders(folder_ + "/" + name);
    sys::write_file(folder_ + "/" + name + "/" + name, "");
  }
  Plan plan = python("print(os.listdir('/code'), os.listdir('/tmp'), flush=True)\nopen('/tmp/mine', 'w').close()\nsys.stdin = open(3)\nsys.stdin.read()");
  plan.frames = true;
  plan.binds.push_back({folder_ + "/one", "/code"});
  auto one = launched(plan);
  EXPECT_EQ(next_piece(one->output), "['one'] []\n");
  plan.binds.back().source = folder_ + "/other";
  auto other = launched(plan);
  EXPECT_EQ(next_piece(other->output), "['other'] []\n");
}

TEST_F(Contained, AForkBombIsHeldByItsGroupAndEndsCleanly) {
  constexpr int kProcesses = 64;
  Plan plan = python("made = 0\nwhile True:\n    try:\n        if os.fork() == 0: time.sleep(600)\n        made += 1\n    except OSError as error:\n        print(errno.errorcode[error.errno], made, flush=True)\n"
                     "        time.sleep(600)\n");
  std::optional<sys::Cgroup> limits;
  if (root_) limits = group({.processes = kProcesses});
  else plan.processes = kProcesses;  // of the user, all processes counted
  auto bomb = launched(plan, std::move(limits));
  std::string said = next_piece(bomb->output);
  EXPECT_EQ(said.substr(0, 6), "EAGAIN");
  EXPECT_LT(std::stoi(said.substr(7)), kProcesses);
  EXPECT_EQ(printed_by(confined_plan({"/bin/echo", "another"})), "another\n");
  bomb->kill();
  EXPECT_EQ(status_of(*bomb), SIGKILL);
  if (root_) EXPECT_TRUE(bomb->cgroup()->remove()) << "everything inside has ended";
}

TEST_F(Contained, AThousandThreadsMayRunWhereTheGroupAllowsThem) {
  if (!root_) GTEST_SKIP() << why_;
  constexpr const char* kThreads =
      "threading.stack_size(65536)\ndone = threading.Event()\nthreads = [threading.Thread(target=done.wait) for _ in range(1023)]\nfor t in threads: t.start()\nprint(threading.active_count())\ndone.set()";
  EXPECT_EQ(printed_by(python(kThreads), group({.processes = 1024})), "1024\n");
}

TEST_F(Contained, AMemoryHogIsKilledAndTheGroupTells) {
  if (!root_) GTEST_SKIP() << why_;
  auto hog = launched(python("held = []\nwhile True: held.append(b'x' * (1 << 20))"), group({.memory_bytes = 64 << 20}));
  EXPECT_EQ(status_of(*hog), SIGKILL);
  EXPECT_EQ(hog->cgroup()->memory_kills(), 1u);
  EXPECT_GT(hog->cgroup()->peak_bytes(), 32u << 20);
}

TEST_F(Contained, WhatLiesInTmpCountsAsMemory) {
  if (!root_) GTEST_SKIP() << why_;
  auto filler = launched(python("with open('/tmp/x', 'wb') as f:\n    while True: f.write(b'x' * (1 << 20))"), group({.memory_bytes = 64 << 20}));
  EXPECT_EQ(status_of(*filler), SIGKILL);
  EXPECT_GE(filler->cgroup()->memory_kills(), 1u);
}

TEST_F(Contained, ADiskFillerMeetsTheQuotaOfTmp) {
  Plan plan = python("def fill(path):\n    with open(path, 'wb', buffering=0) as f:\n        while True: f.write(b'x' * (1 << 20))\nprint(e(lambda: fill('/tmp/x')), os.stat('/tmp/x').st_size >> 20)");
  plan.tmp_bytes = 8 << 20;
  EXPECT_EQ(printed_by(plan), "ENOSPC 8\n");
}

TEST_F(Contained, TmpIsOfTheSizePromised) {
  EXPECT_EQ(printed_by(python("print([(lambda v: v.f_blocks * v.f_frsize >> 20)(os.statvfs(d)) for d in ('/tmp', '/dev/shm')])")), "[512, 64]\n");
}

TEST_F(Contained, AnOutputFloodWaitsForItsReaderAndCanBeKilled) {
  auto flood = launched(confined_plan({"/usr/bin/yes"}));
  EXPECT_EQ(next_piece(flood->output).substr(0, 4), "y\ny\n");
  flood->kill();
  EXPECT_EQ(status_of(*flood), SIGKILL);
}

TEST_F(Contained, IsAnUnprivilegedUserOutsideAndNotTwiceTheSame) {
  auto uid = [this] { return std::stol(printed_by(python("print(open('/proc/self/uid_map').read().split()[1])"))); };
  long one = uid(), other = uid();
  if (::geteuid() != 0) {
    EXPECT_EQ(one, 0) << "the nursery's own root, which is this user";
    return;
  }
  EXPECT_GE(one, 1'000'000'000);
  EXPECT_LT(one, 2'000'000'000);
  EXPECT_NE(one, other);
}

TEST_F(Contained, LimitsAreWhatTheProgramIsToldTheyAre) {
  Plan plan = python("print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.sysconf('SC_OPEN_MAX'))");
  plan.open_files = 200;
  EXPECT_EQ(printed_by(plan), "200 200\n");
}

TEST_F(Contained, MemoryIsHeldWithoutAGroupToo) {
  Plan plan = python("kept = []\n"
                     "try:\n"
                     "    while len(kept) < 400: kept.append(bytearray(1 << 20))\n"
                     "except MemoryError: print('refused', len(kept) > 100)");
  plan.memory_bytes = 200 << 20;
  EXPECT_EQ(printed_by(plan), "refused True\n");
}

TEST_F(Contained, RunsOnTheCoresOfItsPlan) {
  Plan plan = python("print(sorted(os.sched_getaffinity(0)))");
  plan.cores = {io::usable_cores().front()};
  EXPECT_EQ(printed_by(plan), fmt::format("[{}]\n", plan.cores.front()));
  plan.cores = io::usable_cores();
  EXPECT_EQ(printed_by(plan), fmt::format("[{}]\n", fmt::join(plan.cores, ", ")));
}

}  // namespace
}  // namespace mayfly::sandbox
