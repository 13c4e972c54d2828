// The nursery, and what the server can do with a sandbox.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <set>
#include <fstream>

#include "sandbox/fixture.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::sandbox {
namespace {

using NurseryTest = InNursery;

TEST_F(NurseryTest, AConfinedProgramPrintsToTheServerAndItsStatusIsKnown) {
  auto sandbox = launched(confined_plan({"/bin/sh", "-c", "echo out; echo err >&2; cat; exit 5"}));
  EXPECT_EQ(all_of(sandbox->output), "out\nerr\n");
  EXPECT_EQ(status_of(*sandbox), 5 << 8);
  EXPECT_EQ(status_of(*sandbox), 5 << 8) << "asked again";
  EXPECT_EQ(sandbox->doors.size(), 4u);
}

TEST_F(NurseryTest, ASignalThatEndsTheProgramIsItsStatus) {
  EXPECT_EQ(status_of(*launched(confined_plan({"/bin/sh", "-c", "kill -TERM $$"}))), SIGTERM);
  EXPECT_EQ(status_of(*launched(python_plan("import os; os.abort()"))), SIGABRT);
}

TEST_F(NurseryTest, AStatusIsUnknownUntilTheDeadlineWhileTheProgramRuns) {
  auto sandbox = launched(confined_plan({"/bin/sleep", "1000"}));
  EXPECT_EQ(status_of(*sandbox, 1000), std::nullopt);
  sandbox->kill();
  EXPECT_EQ(status_of(*sandbox), SIGKILL);
}

TEST_F(NurseryTest, APoliteSignalReachesTheProgramAlone) {
  auto sandbox = launched(python_plan("import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nprint('ready', flush=True)\nsignal.pause()"));
  EXPECT_EQ(next_piece(sandbox->output), "ready\n");
  sys::kill(sandbox->program(), SIGTERM);
  EXPECT_EQ(status_of(*sandbox), 3 << 8);
}

TEST_F(NurseryTest, FramesAreAStreamWhoseFarEndIsTheProgramsDescriptorThree) {
  Plan plan = confined_plan({"/bin/sh", "-c", "read line <&3; echo \"got $line\" >&3"});
  plan.frames = true;
  auto sandbox = launched(plan);
  sys::write_all(sandbox->frames.get(), "a frame\n", "test");
  EXPECT_EQ(all_of(sandbox->frames), "got a frame\n");
}

TEST_F(NurseryTest, AProgramThatIsNotConfinedHasPacketsOnDescriptorThree) {
  Plan plan = confined_plan({"/usr/bin/python3", "-S", "-c", "import os\nos.write(3, os.read(3, 100) + b' yourself')"});
  plan.confined = false;
  auto sandbox = launched(plan);
  sys::send_message(sandbox->control(), "hello");
  EXPECT_EQ(status_of(*sandbox), 0);
  sys::Message message;
  ASSERT_EQ(sys::receive_message(sandbox->control(), 100, message), sys::Received::message);
  EXPECT_EQ(message.bytes, "hello yourself");
  EXPECT_EQ(sys::receive_message(sandbox->control(), 100, message), sys::Received::closed);
}

TEST_F(NurseryTest, TheServerReachesAPortInside) {
  auto sandbox = launched(python_plan("import socket\ns = socket.create_server(('127.0.0.1', 9000))\nprint('listening', flush=True)\nc, _ = s.accept()\nc.sendall(b'hi ' + c.recv(100))"));
  EXPECT_EQ(next_piece(sandbox->output), "listening\n");
  auto socket = tcp_socket(*sandbox);
  ASSERT_TRUE(socket) << socket.error().message;
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(9000), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_TRUE(::connect(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS);
  pollfd writable{socket->get(), POLLOUT, 0};
  EXPECT_EQ(::poll(&writable, 1, 10'000), 1);
  sys::write_all(socket->get(), "server", "test");
  EXPECT_EQ(next_piece(*socket), "hi server");
}

TEST_F(NurseryTest, AnEndedSandboxGivesNoSocket) {
  auto sandbox = launched(confined_plan({"/bin/true"}));
  EXPECT_EQ(status_of(*sandbox), 0);
  auto socket = tcp_socket(*sandbox);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().message, "the sandbox has ended");
}

TEST_F(NurseryTest, FoldersAndFilesAreMountedLateAndReadOnly) {
  sys::make_folders(folder_ + "/code");
  sys::write_file(folder_ + "/code/index.js", "the code");
  sys::write_file(folder_ + "/layer", "the layer");
  auto sandbox = launched(confined_plan({"/bin/sh", "-c", "ls /code; echo started; while [ ! -s /opt/deep/layer ]; do :; done; cat /code/index.js /opt/deep/layer; echo x 2>&1 > /code/x"}));
  EXPECT_EQ(next_piece(sandbox->output), "started\n");
  auto mounted = mount(*sandbox, {{folder_ + "/code", "/code"}, {folder_ + "/absent", "/opt/absent", true}, {folder_ + "/layer", "/opt/deep/layer"}});
  ASSERT_TRUE(mounted) << mounted.error().message;
  EXPECT_EQ(all_of(sandbox->output), "the codethe layer/bin/sh: 1: cannot create /code/x: Read-only file system\n");
  auto refused = mount(*sandbox, {{folder_ + "/absent", "/opt"}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("open_tree " + folder_ + "/absent: No such file or directory"), std::string::npos) << refused.error().message;
}

TEST_F(NurseryTest, AHeldProgramStartsWhenItIsReleasedAndNotBefore) {
  Plan plan = confined_plan({"/bin/sh", "-c", "echo started; exit 4"});
  plan.held = true;
  auto sandbox = launched(plan);
  pollfd printed{sandbox->output.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&printed, 1, 0), 0);
  EXPECT_EQ(sandbox->doors.size(), 4u);
  ASSERT_TRUE(release(*sandbox));
  EXPECT_EQ(all_of(sandbox->output), "started\n");
  EXPECT_EQ(status_of(*sandbox), 4 << 8);
}

TEST_F(NurseryTest, AHeldProgramIsConfinedBeforeItIsReleased) {
  Plan plan = confined_plan({"/bin/true"});
  plan.held = true;
  auto sandbox = launched(plan);
  std::ifstream fdinfo("/proc/self/fdinfo/" + std::to_string(sandbox->program().get()));
  std::string pid, text;
  for (std::string word; fdinfo >> word;)
    if (word == "Pid:") fdinfo >> pid;
  text = sys::read_file("/proc/" + pid + "/status");
  for (const char* line : {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Seccomp:\t2", "NoNewPrivs:\t1"}) EXPECT_NE(text.find(line), text.npos) << line;
  sandbox->kill();
  EXPECT_EQ(status_of(*sandbox), SIGKILL);
}

TEST_F(NurseryTest, AHeldProgramThatCannotBeStartedIsNamedAtItsRelease) {
  Plan plan = confined_plan({"/code/bootstrap"});
  plan.held = true;
  auto sandbox = launched(plan);
  auto released = release(*sandbox);
  ASSERT_FALSE(released);
  EXPECT_EQ(released.error().code, LaunchError::not_started);
  EXPECT_EQ(released.error().message, "the program could not be started: execve /code/bootstrap: No such file or directory");
}

TEST_F(NurseryTest, AHeldProgramThatEndsAtOnceHasBeenReleasedAllTheSame) {
  for (int i = 0; i < 20; ++i) {
    Plan plan = confined_plan({"/bin/true"});
    plan.held = true;
    auto sandbox = launched(plan);
    ASSERT_TRUE(release(*sandbox)) << i;
    EXPECT_EQ(status_of(*sandbox), 0);
  }
}

TEST_F(NurseryTest, AHeldSandboxThatWasKilledIsNotReleased) {
  Plan plan = confined_plan({"/bin/true"});
  plan.held = true;
  auto sandbox = launched(plan);
  sandbox->kill();
  EXPECT_EQ(status_of(*sandbox), SIGKILL);
  EXPECT_FALSE(release(*sandbox));
}

TEST_F(NurseryTest, AProgramThatCannotBeStartedIsNamed) {
  auto refused = launch(confined_plan({"/code/bootstrap"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, LaunchError::not_started);
  EXPECT_EQ(refused.error().message, "the program could not be started: execve /code/bootstrap: No such file or directory");
}

TEST_F(NurseryTest, AStepThatIsRefusedIsNamed) {
  Plan plan = confined_plan({"/bin/true"});
  plan.folder = "/nowhere";
  auto refused = launch(plan);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, LaunchError::refused);
  EXPECT_EQ(refused.error().message, "the sandbox could not be made: working directory: chdir /nowhere: No such file or directory");
  plan.folder = "/";
  plan.binds.push_back({folder_ + "/absent", "/code"});
  refused = launch(plan);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("open_tree " + folder_ + "/absent"), std::string::npos) << refused.error().message;
}

TEST_F(NurseryTest, ALaunchThatIsRefusedLeavesNoCgroup) {
  std::string why;
  auto root = sys::CgroupRoot::find(why);
  if (!root) GTEST_SKIP() << why;
  std::string name = "mayfly-test-refused-" + std::to_string(::getpid());
  EXPECT_FALSE(launch(confined_plan({"/code/bootstrap"}), sys::Cgroup(*root, name, {})));
  for (const auto& [controller, folder] : root->folders()) EXPECT_FALSE(sys::exists(folder + "/" + name));
}

// Processes below `pid`, by name.
std::map<std::string, std::vector<pid_t>> below(pid_t pid) {
  std::map<std::string, std::vector<pid_t>> out;
  std::error_code gone;  // it may end while it is looked at
  for (std::filesystem::directory_iterator thread("/proc/" + std::to_string(pid) + "/task", gone), end; !gone && thread != end; thread.increment(gone)) {
    std::ifstream list(thread->path() / "children");
    for (pid_t child; list >> child;) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(child) + "/comm"), name);
      out[name + "\n"].push_back(child);
      for (auto& [called, pids] : below(child)) out[called].insert(out[called].end(), pids.begin(), pids.end());
    }
  }
  return out;
}

// What runs below this process under a name, once there are `count` of them.
std::vector<pid_t> await_below(const std::string& name, size_t count) {
  for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10); std::chrono::steady_clock::now() < until;) {
    auto found = below(::getpid())[name + "\n"];
    if (found.size() == count) return found;
    std::this_thread::yield();
  }
  ADD_FAILURE() << "there are " << below(::getpid())[name + "\n"].size() << " of " << name;
  return {};
}

TEST_F(NurseryTest, AnEnvironmentThatIsTooLargeToHandOverIsNamedAndTheNurseryLivesOn) {
  std::string why, name = "mayfly-test-large-" + std::to_string(::getpid());
  auto root = sys::CgroupRoot::find(why);
  std::optional<sys::Cgroup> cgroup;
  if (root) cgroup.emplace(*root, name, sys::CgroupLimits{});
  Plan plan = confined_plan({"/bin/true"});
  plan.environment = {"LETTERS=" + std::string(64 << 10, 'x')};
  EXPECT_EQ(status_of(*launched(plan)), 0);
  auto nursery = below(::getpid())["mayfly-nursery\n"];
  plan.environment = {"QUOTES=" + std::string(64 << 10, '"')};
  auto refused = launch(plan, std::move(cgroup));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, LaunchError::refused);
  EXPECT_NE(refused.error().message.find("environment is too large"), std::string::npos) << refused.error().message;
  EXPECT_EQ(below(::getpid())["mayfly-nursery\n"], nursery);
  if (!root) return;
  for (const auto& [controller, folder] : root->folders()) EXPECT_FALSE(sys::exists(folder + "/" + name));
}

TEST_F(NurseryTest, WhereDescriptorsAreShortALaunchIsWholeOrRefused) {
  auto lasting = launched(confined_plan({"/bin/sleep", "1000"}));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  auto lowest_free = static_cast<rlim_t>(sys::Fd(::dup(0)).get());
  int refused = 0, whole = 0;
  for (rlim_t more = 0; more < 40; ++more) {  // some of these numbers are taken
    rlimit few{lowest_free + more, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    auto socket = tcp_socket(*lasting);
    auto sandbox = launch(confined_plan({"/bin/true"}));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    sandbox ? ++whole : ++refused;
    if (sandbox) EXPECT_EQ((*sandbox)->doors.size(), 4u) << more;
    else EXPECT_EQ(sandbox.error().code, LaunchError::refused) << more;
    if (!socket) EXPECT_EQ(socket.error().code, LaunchError::refused) << more;
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(whole, 0);
}

constexpr size_t kReadyProcesses = 2 * 4;  // the keeper and what becomes the program, of each that NurseryOptions::ready asks for

TEST_F(NurseryTest, SomeAreMadeAheadAndOneThatWasKilledIsPassedOver) {
  EXPECT_EQ(printed_by(confined_plan({"/bin/echo", "one"})), "one\n");
  for (pid_t pid : await_below("mayfly-keeper", kReadyProcesses)) ::kill(pid, SIGKILL);
  await_below("mayfly-keeper", 0);
  EXPECT_EQ(printed_by(confined_plan({"/bin/echo", "two"})), "two\n");
  await_below("mayfly-keeper", kReadyProcesses);
}

TEST_F(NurseryTest, OtherDoorsThanThoseOfTheOnesMadeAheadAreOpenedToo) {
  launched(confined_plan({"/bin/true"}));
  await_below("mayfly-keeper", kReadyProcesses);
  Plan plan = confined_plan({"/bin/true"});
  plan.doors = {80, 9999};
  plan.dns_door = false;
  auto sandbox = launched(plan);
  std::vector<uint16_t> ports;
  for (const auto& door : sandbox->doors) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ASSERT_EQ(::getsockname(door.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    ports.push_back(ntohs(address.sin_port));
  }
  EXPECT_EQ(ports, (std::vector<uint16_t>{80, 9999}));
}

TEST_F(NurseryTest, ANetworkIsNotUsedAgainWhileItsDoorIsOpen) {
  auto space = [this](std::vector<sys::Fd>& doors) {
    auto sandbox = launched(confined_plan({"/bin/readlink", "/proc/self/ns/net"}));
    doors = std::move(sandbox->doors);
    std::string out = all_of(sandbox->output);
    EXPECT_EQ(status_of(*sandbox), 0);
    return out;
  };
  std::map<std::string, std::vector<sys::Fd>> open;
  for (int i = 0; i < 20; ++i) {
    std::vector<sys::Fd> doors;
    std::string name = space(doors);
    EXPECT_FALSE(open.contains(name)) << name;
    open[name] = std::move(doors);
  }
  std::set<std::string> seen;
  for (const auto& [name, doors] : open) seen.insert(name);
  open.clear();
  int again = 0;
  std::vector<sys::Fd> doors;
  for (int i = 0; i < 20; ++i) again += seen.contains(space(doors));
  EXPECT_GT(again, 0) << "and it is when the door is closed";
}

size_t count_open_fds() { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {})); }

TEST_F(NurseryTest, NothingIsLeftOfSandboxesThatEnded) {
  std::string mounts = sys::read_file("/proc/self/mountinfo");
  launched(confined_plan({"/bin/true"}));
  size_t fds = count_open_fds();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(status_of(*launched(confined_plan({"/bin/true"}))), 0);
  for (int i = 0; i < 10; ++i) launched(confined_plan({"/bin/sleep", "1000"}));
  EXPECT_EQ(count_open_fds(), fds);
  EXPECT_EQ(sys::read_file("/proc/self/mountinfo"), mounts);
  EXPECT_TRUE(below(::getpid())["sleep\n"].empty());
  auto made_ahead = await_below("mayfly-keeper", kReadyProcesses);
  std::vector<sys::Fd> processes;
  for (pid_t pid : made_ahead) processes.push_back(sys::open_pidfd(pid));
  wait<void>([this] { return nursery_.stop(); });
  EXPECT_TRUE(below(::getpid()).empty());
  for (const auto& process : processes) {
    pollfd ended{process.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "they end with the nursery";
  }
}

TEST_F(NurseryTest, SandboxesLiveOnWhenTheNurseryIsKilledAndTheNextLaunchStartsAnother) {
  auto lasting = launched(confined_plan({"/bin/sh", "-c", "echo one; while [ ! -e /code/go ]; do :; done; echo two"}));
  EXPECT_EQ(next_piece(lasting->output), "one\n");
  auto nursery = sys::open_pidfd(below(::getpid())["mayfly-nursery\n"].at(0));
  sys::kill(nursery, SIGKILL);
  pollfd ended{nursery.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
  EXPECT_EQ(printed_by(confined_plan({"/bin/echo", "again"})), "again\n");
  sys::make_folders(folder_ + "/code");
  sys::write_file(folder_ + "/code/go", "");
  ASSERT_TRUE(mount(*lasting, {{folder_ + "/code", "/code"}}));
  EXPECT_EQ(next_piece(lasting->output), "two\n");
  EXPECT_EQ(status_of(*lasting), 0);
}

io::Task<void> start(NurseryLink& link) {
  link.running();
  co_return;
}
io::Task<void> send_one(NurseryLink& link, bool& sent, io::Deadline deadline) { sent = co_await link.send("an order", {}, deadline); }
io::Task<int> send_two(io::Shard& shard, NurseryLink& link, io::Deadline deadline) {
  bool one = false, two = false;
  io::TaskGroup group(shard);
  group.spawn(send_one(link, one, deadline));
  group.spawn(send_one(link, two, deadline));
  co_await group.drain();
  co_return one + two;
}

TEST_F(NurseryTest, TwoWhoFindItEndingWaitForItsEndAndAreServedByTheNext) {
  std::string closed = folder_ + "/closed", program = folder_ + "/nursery";
  sys::write_file(program, fmt::format("#!/bin/sh\n[ -e {0} ] && exec /bin/sleep 1000\nexec 3<&-\n: > {0}\nexec /bin/sleep 0.2\n", closed), 0755);
  NurseryLink link(shard_, {.self_path = program});
  wait<void>([&] { return start(link); });
  while (!sys::exists(closed)) std::this_thread::yield();
  EXPECT_EQ(wait<int>([&] { return send_two(shard_, link, soon()); }), 2);
}

TEST_F(NurseryTest, NothingRunsOnWhenTheServerIsKilled) {
  auto [ours, theirs] = sys::socket_pair(SOCK_STREAM);
  auto self = sys::self_path();
  auto server = sys::spawn({.path = self, .arguments = {self, std::string(kServeArgument)}, .inherited_fd = theirs.get()});
  theirs.reset();
  EXPECT_EQ(next_piece(ours), "running");
  std::vector<sys::Fd> processes;
  for (const auto& [name, pids] : below(server.pid)) {
    for (pid_t pid : pids) processes.push_back(sys::open_pidfd(pid));
  }
  EXPECT_GE(processes.size(), 3u) << "nursery, keeper, program, and perhaps more";
  sys::kill(server.pidfd, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(sys::wait_status(server)));
  for (const auto& process : processes) {
    pollfd ended{process.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "still running 10 s later";
  }
}

TEST_F(NurseryTest, WhatTheProgramLeftRunningEndsWithIt) {
  auto sandbox = launched(confined_plan({"/bin/sh", "-c", "(setsid sleep 987.321 &) ; echo left"}));
  EXPECT_EQ(all_of(sandbox->output), "left\n") << "the output ends with the last who could write to it";
  EXPECT_EQ(status_of(*sandbox), 0);
}

}  // namespace
}  // namespace mayfly::sandbox
