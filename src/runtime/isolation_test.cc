// What hostile and broken functions cannot do: to the host, to the server, to other instances.
#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <sstream>
#include <thread>

#include "base/json.h"
#include "runtime/sandbox_fixture.h"
#include "sandbox/checklist.h"
#include "sys/cgroup.h"
#include "sys/process.h"
#include "sys/unix_socket.h"

namespace mayfly::runtime {
namespace {

class Isolation : public InSandbox {
 protected:
  // What a C library call gives inside: its result, or the name of its error.
  std::string c_call(const std::string& expression) {
    return inside("(lambda r: r if r >= 0 else errno.errorcode[ctypes.get_errno()])(" + expression + ")", "import errno\nlibc = ctypes.CDLL(None, use_errno=True)\n");
  }
};

TEST_F(Isolation, TheHostsFilesAreNotThere) {
  EXPECT_EQ(inside("[os.listdir(d) for d in ('/home', '/root', '/opt', '/run')]"), "[[], [], [], []]");
  EXPECT_EQ(inside("[p for p in ('/etc/shadow', '/etc/ssl/private', '/sys', '" MAYFLY_SOURCE_DIR "', '/mnt', '/boot', '/var/lib', '" + folder_ + "') if os.path.exists(p)]"), "[]");
  EXPECT_EQ(inside("sorted(os.listdir('/dev'))"), R"(["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"])");
}

TEST_F(Isolation, OnlyItsOwnProcessesAreVisible) {
  EXPECT_EQ(inside("[p for p in os.listdir('/proc') if p.isdigit()]"), R"(["1"])");
  EXPECT_EQ(inside("os.getpid()"), "1");
}

TEST_F(Isolation, CodeAndSystemAreReadOnly) {
  EXPECT_EQ(run_once("import errno\ndef handler(event, context):\n    out = []\n    for p in ('/code/x', '/usr/x', '/etc/x', '/x', '/mayfly/python/x', '/opt/x'):\n        try: open(p, 'w')\n"
                     "        except OSError as e: out.append(errno.errorcode[e.errno])\n    return out\n")
                .body,
            R"(["EROFS", "EROFS", "EROFS", "EROFS", "EROFS", "EROFS"])");
}

TEST_F(Isolation, HasNoPrivilegesAndCannotRegainThem) {
  EXPECT_EQ(inside("[l.split()[1] for l in open('/proc/self/status') if l.startswith(('Cap', 'NoNew', 'Seccomp:'))]"),
            R"(["0000000000000000", "0000000000000000", "0000000000000000", "0000000000000000", "0000000000000000", "1", "2"])");
  EXPECT_EQ(inside("subprocess.run('grep CapEff /proc/self/status', shell=True, capture_output=True, text=True).stdout"), "CapEff:\t0000000000000000\n");
}

TEST_F(Isolation, IsAnUnprivilegedUserOutside) {
  auto instance = started(function("import os\ndef handler(event, context):\n    return open('/proc/self/uid_map').read().split()[1]\n"));
  auto uid = std::stol(call(*instance, "").body);
  // An ordinary user's is counted in the nursery's own namespace, where 0 is that user.
  EXPECT_EQ(uid, ::geteuid() == 0 ? std::clamp(uid, 1'000'000'000L, 2'000'000'000L) : 0);
  stop(std::move(instance));
}

TEST_F(Isolation, RefusesWhatReachesOutOfTheSandbox) {
  EXPECT_EQ(c_call("libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)"), "EPERM");
  EXPECT_EQ(c_call("libc.umount2(b'/proc', 2)"), "EPERM");
  EXPECT_EQ(c_call("libc.unshare(0x10000000)"), "EPERM");
  EXPECT_EQ(c_call("libc.setns(0, 0)"), "EPERM");
  EXPECT_EQ(c_call("libc.ptrace(0, 0, None, None)"), "EPERM");
  EXPECT_EQ(c_call("libc.chroot(b'/tmp')"), "EPERM");
  EXPECT_EQ(c_call("libc.sethostname(b'x', 1)"), "EPERM");
  EXPECT_EQ(c_call("libc.syscall(321, 0, None, 0)"), "EPERM") << "bpf";
  EXPECT_EQ(c_call("libc.syscall(425, 1, None)"), "EPERM") << "io_uring_setup";
  EXPECT_EQ(c_call("libc.syscall(298, None, 0, -1, -1, 0)"), "EPERM") << "perf_event_open";
  EXPECT_EQ(c_call("libc.syscall(323, 0)"), "EPERM") << "userfaultfd";
  EXPECT_EQ(c_call("libc.syscall(250, 0, 0, 0)"), "EPERM") << "keyctl";
  EXPECT_EQ(c_call("libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)"), "EPERM") << "clone into a user namespace";
  EXPECT_EQ(c_call("libc.syscall(435, None, 0)"), "ENOSYS") << "clone3";
  EXPECT_EQ(c_call("libc.syscall(0x40000000 | 39)"), "ENOSYS") << "the x32 calls";
  EXPECT_EQ(c_call("libc.clock_settime(0, (ctypes.c_long * 2)(0, 0))"), "EPERM");
  EXPECT_EQ(c_call("libc.mknod(b'/tmp/d', 0o60600, 0x0801)"), "EPERM");
  EXPECT_EQ(c_call("libc.socket(17, 3, 0)"), "EPERM") << "packet socket";
  EXPECT_EQ(c_call("libc.socket(2, 3, 1)"), "EPERM") << "raw socket";
  EXPECT_EQ(c_call("libc.socket(38, 5, 0)"), "EPERM") << "AF_ALG";
  EXPECT_EQ(c_call("libc.socket(40, 1, 0)"), "EPERM") << "vsock";
}

TEST_F(Isolation, EveryRowOfTheChecklistIsRefused) {
  sandbox::Host host;
  auto instance = started(function(std::string(sandbox::kPrelude) + "def handler(event, context):\n    return str(eval(event))\n"));
  for (const auto& row : sandbox::kRows) EXPECT_EQ(call(*instance, host.filled_in(row.tried)).body, row.expected) << row.name;
  stop(std::move(instance));
}

TEST_F(Isolation, TheDoorIsTheOnlyNetwork) {
  std::string fetch =
      "import errno\ndef fetch(host, port):\n    try:\n        s = socket.create_connection((host, port), 2)\n        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n        return s.recv(4096)[-8:].decode()\n"
      "    except socket.gaierror: return 'no such name'\n    except OSError as e: return errno.errorcode[e.errno]\n";
  EXPECT_EQ(inside("fetch('127.0.0.1', 80)", fetch), "the door");
  EXPECT_EQ(inside("fetch('127.0.0.1', 8080)", fetch), "the door");
  EXPECT_EQ(inside("fetch('cn-hangzhou-internal.fnf.aliyuncs.com', 80)", fetch), "the door");
  EXPECT_EQ(inside("fetch('photos.oss-cn-hangzhou-internal.aliyuncs.com', 443)", fetch), "the door") << "a name only the DNS can know";
  EXPECT_EQ(inside("fetch('example.com', 80)", fetch), "no such name");
  EXPECT_EQ(inside("fetch('127.0.0.1', 22)", fetch), "ECONNREFUSED");
  EXPECT_EQ(inside("fetch('1.1.1.1', 80)", fetch), "ENETUNREACH");
  EXPECT_EQ(inside("os.listdir('/proc/sys/net/ipv4/conf')"), R"(["all", "default", "lo"])");
}

TEST_F(Isolation, TheDoorSaysWhichFunctionCalls) {
  auto runnable = function("def handler(event, context): pass\n");
  stop(started(runnable));
  std::string door = door_name(runnable->key(), runnable->revision) + ".1";  // the first sandbox of this revision
  EXPECT_EQ(door_key(door), "photos/detect-1@LATEST");
  stop_factory();
  EXPECT_EQ(doors_.opened, (std::vector<std::string>{door + " http", door + " https", door + " http"}));
  EXPECT_EQ(doors_.closed, std::vector<std::string>{door});
}

TEST_F(Isolation, TmpIsPrivateToAnInstance) {
  std::string marker = folder_ + "/marker";
  sys::write_file(marker, "host");
  auto runnable = function(
      "import os\ndef handler(event, context):\n    if event == b'wipe':\n        os.system('rm -rf /tmp/* /var/tmp/*')\n    elif event == b'make':\n        os.mkdir('/tmp/download')\n"
      "    return os.listdir('/tmp')\n");
  auto one = started(runnable), other = started(runnable);
  EXPECT_EQ(call(*one, "make").body, R"(["download"])");
  EXPECT_EQ(call(*other, "").body, "[]");
  EXPECT_EQ(call(*other, "make").body, R"(["download"])");
  EXPECT_EQ(call(*one, "wipe").body, "[]");
  EXPECT_EQ(call(*other, "").body, R"(["download"])");
  EXPECT_TRUE(sys::exists(marker));
  stop(std::move(one));
  stop(std::move(other));
}

TEST_F(Isolation, TmpHasAQuota) {
  EXPECT_EQ(inside("(lambda v: v.f_blocks * v.f_frsize >> 20)(os.statvfs('/tmp'))"), "512");
}

TEST_F(Isolation, AForkBombIsContained) {
  auto runnable = function("import os, time\ndef handler(event, context):\n    made = 0\n    while True:\n        try:\n            if os.fork() == 0:\n                time.sleep(60)\n"
                                   "                os._exit(0)\n            made += 1\n        except OSError:\n            return made\n");
  runnable->function.memory_mb = 1024;  // so that it is the number that ends it, not their memory
  auto instance = started(runnable);
  Reply reply = call(*instance, "");
  ASSERT_EQ(reply.kind, Reply::Kind::ok) << reply.body;
  EXPECT_LE(std::stoi(reply.body), 1024);
  EXPECT_GE(std::stoi(reply.body), 900);
  stop(std::move(instance));
}

TEST_F(Isolation, AMemoryHogIsEndedAloneAndToldSo) {
  auto runnable = function("held = []\ndef handler(event, context):\n    while event == b'hog': held.append(bytearray(1 << 20))\n    return 'fine'\n");
  auto hog = started(runnable), other = started(runnable);
  Reply reply = call(*hog, "hog");
  if (::geteuid() == 0) {
    EXPECT_EQ(reply.kind, Reply::Kind::out_of_memory) << reply.body;
    EXPECT_EQ(string_or(*parse_json(reply.body), "errorMessage"), "Function instance exceeded its memory limit of 128 MB and was ended");
  } else {
    EXPECT_EQ(string_or(*parse_json(reply.body), "errorType"), "MemoryError") << "without a cgroup the process's own limit refuses";
  }
  EXPECT_EQ(call(*other, "").body, "fine");
  stop(std::move(hog));
  stop(std::move(other));
}

TEST_F(Isolation, SubprocessesEndWithTheirInstance) {
  auto instance = started(function("import subprocess\ndef handler(event, context):\n    subprocess.Popen(['setsid', 'sleep', '987.654'])\n    return 'left behind'\n"));
  EXPECT_EQ(call(*instance, "").body, "left behind");
  stop(std::move(instance));
  EXPECT_NE(std::system("grep -qsz '^987.654$' /proc/[0-9]*/cmdline"), 0);
}

TEST_F(Isolation, ASiblingInstanceCannotBeTouched) {
  auto runnable = function("import os, signal\ndef handler(event, context):\n    try: os.kill(-1, 9)\n    except ProcessLookupError: return 'nobody else'\n    return 'killed'\n");
  auto one = started(runnable), other = started(runnable);
  EXPECT_EQ(call(*one, "").body, "nobody else");
  EXPECT_EQ(call(*other, "").body, "nobody else");
  stop(std::move(one));
  stop(std::move(other));
}

TEST_F(Isolation, ASiblingsSharedMemoryIsNotSeenAndEndsWithIt) {
  auto runnable = function(
      "import ctypes\nlibc = ctypes.CDLL(None)\ndef handler(event, context):\n    if event == b'make': libc.shmget(1234, 4096, 0o1600)\n"
      "    return [libc.shmget(1234, 4096, 0o600) >= 0, len(open('/proc/sysvipc/shm').readlines()) - 1]\n");
  auto one = started(runnable), other = started(runnable);
  EXPECT_EQ(call(*one, "make").body, "[true, 1]");
  EXPECT_EQ(call(*other, "").body, "[false, 0]");
  stop(std::move(one));
  auto later = started(runnable);
  EXPECT_EQ(call(*later, "").body, "[false, 0]");
  stop(std::move(other));
  stop(std::move(later));
}

TEST_F(Isolation, AnEnvironmentThatIsTooLargeToHandOverIsNamedAndNothingIsLeftOfTheStart) {
  auto runnable = function("def handler(event, context): pass\n");
  runnable->function.environment["QUOTES"] = std::string(64 << 10, '"');
  auto refused = start(runnable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StartError::sandbox);
  EXPECT_NE(refused.error().message.find("environment is too large"), std::string::npos) << refused.error().message;
  stop_factory();  // waits for every process
}

TEST_F(Isolation, GarbageOrAnUnaskedFrameOnItsStreamEndsTheInstanceAndNothingElse) {
  for (std::string bytes : {"b'\\xff' * 1000", "b'\\0' * 8 + b'\\2' + b'\\0' * 15", "b'\\0' * 8 + b'\\4' + b'\\0' * 3 + b'\\7' + b'\\0' * 11"}) {
    auto instance = started(function("import os, time\ndef handler(event, context):\n    os.write(3, " + bytes + ")\n    time.sleep(60)\n"));
    EXPECT_EQ(call(*instance, "").kind, Reply::Kind::died) << bytes;
    stop(std::move(instance));
  }
  EXPECT_EQ(run_once("def handler(event, context):\n    return 'fine'\n").body, "fine");
}

TEST_F(Isolation, AStepTheKernelRefusesIsNamedAndTheNextStartTriesAgain) {
  auto runnable = function("def handler(event, context):\n    return 'now'\n");
  std::string hidden = runnable->code_path + ".hidden";
  std::filesystem::rename(runnable->code_path, hidden);
  auto refused = start(runnable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StartError::sandbox);
  EXPECT_NE(refused.error().message.find("open_tree " + runnable->code_path + ": No such file or directory"), std::string::npos) << refused.error().message;
  std::filesystem::rename(hidden, runnable->code_path);
  auto instance = started(runnable);
  EXPECT_EQ(call(*instance, "").body, "now");
  stop(std::move(instance));
}

TEST_F(Isolation, AnInstanceThatIsDroppedWithoutAStopIsKilled) {
  auto runnable = function("def handler(event, context): pass\n");
  auto instance = started(runnable);
  on_shard([&] { instance.reset(); });
  stop_factory();  // waits for every process
}

int count_open_fds() {
  int count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

std::string children() {
  std::string out;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) out += sys::read_file(thread.path() / "children");
  return out;
}

TEST_F(Isolation, NothingIsLeftAfterStop) {
  auto runnable = function("def handler(event, context):\n    return 'x'\n");
  auto round = [&] {
    auto one = started(runnable), other = started(runnable);
    call(*one, "");
    stop(std::move(one));
    stop(std::move(other));
    wait<void>([&] { return factory_->forget(runnable->key(), runnable->revision); });
    stop_factory();
  };
  std::string mounts = sys::read_file("/proc/self/mountinfo");
  round();
  on_shard([this] { make(); });
  int fds = count_open_fds();
  round();
  on_shard([this] { make(); });
  EXPECT_EQ(count_open_fds(), fds);
  EXPECT_EQ(children(), "");
  EXPECT_EQ(sys::read_file("/proc/self/mountinfo"), mounts);
  stop_factory();
  std::string why;
  if (auto root = sys::CgroupRoot::find(why)) {
    for (const auto& [controller, folder] : root->folders()) EXPECT_FALSE(sys::exists(folder + "/mayfly-" + std::to_string(::getpid()))) << folder;
  }
}

// Every process below `pid`, by pidfd.
std::vector<sys::Fd> descendants(pid_t pid) {
  std::vector<sys::Fd> out;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    std::istringstream list(sys::read_file(thread.path() / "children"));
    for (pid_t child; list >> child;) {
      out.push_back(sys::open_pidfd(child));
      for (auto& below : descendants(child)) out.push_back(std::move(below));
    }
  }
  return out;
}

TEST_F(Isolation, AZygoteThatIsKilledTakesItsInstancesAlongAndIsReplaced) {
  auto runnable = function("def handler(event, context):\n    return 'alive'\n");
  auto lost = started(runnable);
  for (const auto& process : descendants(::getpid())) sys::kill(process, SIGKILL);
  EXPECT_EQ(call(*lost, "").kind, Reply::Kind::died);
  auto fresh = started(runnable);
  EXPECT_EQ(call(*fresh, "").body, "alive");
  stop(std::move(lost));
  stop(std::move(fresh));
}

TEST_F(Isolation, ManyInstancesOfManyFunctionsStartAtOnce) {
  std::vector<std::shared_ptr<functions::Runnable>> functions;
  for (int i = 0; i < 3; ++i) functions.push_back(function("def handler(event, context):\n    return context.function.name\n"));
  std::vector<std::string> answers(24);
  {
    std::vector<std::jthread> callers;
    for (size_t i = 0; i < answers.size(); ++i) {
      callers.emplace_back([this, &answer = answers[i], runnable = functions[i % 3]] {
        auto instance = started(runnable);
        answer = wait<Reply>([&] { return instance->call({.request_id = "r", .deadline = io::Deadline::after_us(shard_, 20'000'000)}); }).body;
        stop(std::move(instance));
      });
    }
  }
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i], functions[i % 3]->function.name);
}

TEST_F(Isolation, NothingRunsOnWhenTheServerIsKilled) {
  sys::write_file(folder_ + "/index.py", "import subprocess\ndef handler(event, context):\n    print('running', flush=True)\n    subprocess.run(['setsid', 'sleep', '999'])\n");
  auto [ours, theirs] = sys::socket_pair(SOCK_STREAM);
  auto self = sys::self_path();
  auto server = sys::spawn({.path = self, .arguments = {self, std::string(kServeArgument), folder_}, .inherited_fd = theirs.get()});
  theirs.reset();
  char said[64] = {};
  ASSERT_GT(::read(ours.get(), said, sizeof said), 0);
  EXPECT_STREQ(said, "running\n");
  auto below = descendants(server.pid);
  EXPECT_GE(below.size(), 3u) << "init, zygote, worker, and perhaps its subprocess";
  sys::kill(server.pidfd, SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(sys::wait_status(server)));
  for (const auto& process : below) {
    pollfd ended{process.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ended, 1, 10'000), 1) << "still running 10 s later";
  }
  std::string why;
  auto root = sys::CgroupRoot::find(why);
  if (!root) return;
  on_shard([this] { make(); });  // the next server cleans up
  for (const auto& [controller, folder] : root->folders()) EXPECT_FALSE(sys::exists(folder + "/mayfly-" + std::to_string(server.pid))) << folder;
}

}  // namespace
}  // namespace mayfly::runtime
