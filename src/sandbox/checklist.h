#pragma once
// For tests: the things that nobody inside a sandbox may do, each as a Python expression that tries it there. docs/SANDBOX.md is the same list.

#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string>

#include "sys/fault.h"
#include "sys/fd.h"

namespace mayfly::sandbox {

// `c(...)` is what a C library call gives: its result, or the name of its error. `e(f)` is the name of the error f raises, or its result.
// `machine(code)` is what a function of these bytes returns.
inline constexpr const char* kPrelude = R"(
import ctypes, errno, mmap, os, resource, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def c(result): return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
def machine(code):
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
def e(f):
    try: return f()
    except OSError as error: return errno.errorcode[error.errno]
def connects(host, port, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind)
    s.settimeout(2)
    return e(lambda: s.connect((host, port)))
)";

struct Row {
  const char* name;
  const char* tried;     // the expression, in which Host::filled_in replaces words
  const char* expected;  // it as text
};

inline constexpr const char* kRefused = "EPERM";

// Of every program and every Python instance.
inline constexpr Row kRows[] = {
    // the host's files
    {"ReadingTheHostsPasswords", "e(lambda: open('/etc/shadow').read())", "ENOENT"},
    {"SeeingWhatElseTheHostHas", "[p for p in ('/sys', '/mnt', '/boot', '/var/lib', '/var/log', '/srv', '/media') if os.path.exists(p)]", "[]"},
    {"WritingToTheSystem", "[e(lambda: open(p, 'w')) for p in ('/usr/x', '/etc/x', '/etc/hosts', '/code/x', '/opt/x', '/x', '/mayfly/files/x')]",
     "['EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS']"},
    {"SetUidFilesOfTheHost", "[bool(os.statvfs(d).f_flag & os.ST_NOSUID) for d in ('/', '/usr', '/tmp', '/dev/shm', '/proc')]", "[True, True, True, True, True]"},
    // devices
    {"OpeningTheHostsDevices", "sorted(os.listdir('/dev'))", "['fd', 'full', 'null', 'random', 'shm', 'stderr', 'stdin', 'stdout', 'urandom', 'zero']"},
    {"MakingABlockDevice", "c(libc.mknod(b'/tmp/d', 0o60600, 0x0801))", kRefused},
    {"MakingACharacterDevice", "c(libc.mknod(b'/tmp/d', 0o20600, 0x0101))", kRefused},
    {"TypingIntoATerminal", "c(libc.ioctl(0, 0x5412, b'x'))", kRefused},
    // other processes
    {"SignallingTheHostsProcesses", "[e(lambda: os.kill(HOST_PID, 0)), e(lambda: os.kill(HOST_PARENT, 0))]", "['ESRCH', 'ESRCH']"},
    {"BeingTraced", "c(libc.ptrace(0, 0, None, None))", kRefused},
    {"ReadingAnothersMemory", "c(libc.syscall(310, 1, None, 0, None, 0, 0))", kRefused},
    {"WritingAnothersMemory", "c(libc.syscall(311, 1, None, 0, None, 0, 0))", kRefused},
    {"TakingAnothersDescriptor", "c(libc.syscall(438, 0, 0, 0))", kRefused},
    {"ComparingKernelObjects", "c(libc.syscall(312, 1, 2, 0, 0, 0))", kRefused},
    // mounts and namespaces
    {"Mounting", "c(libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None))", kRefused},
    {"MountingTheNewWay", "[c(libc.syscall(n, 0, 0, 0, 0, 0)) for n in (428, 429, 430, 431, 432, 433, 442)]", "['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM']"},
    {"Remounting", "c(libc.mount(None, b'/', None, 32, None))", kRefused},
    {"Unmounting", "c(libc.umount2(b'/proc', 2))", kRefused},
    {"PivotingTheRoot", "c(libc.syscall(155, b'/tmp', b'/tmp'))", kRefused},
    {"ChangingTheRoot", "c(libc.chroot(b'/tmp'))", kRefused},
    {"OpeningFilesByHandle", "[c(libc.syscall(n, -1, None, 0, None, 0)) for n in (303, 304)]", "['EPERM', 'EPERM']"},
    {"ANewUserNamespace", "c(libc.unshare(0x10000000))", kRefused},
    {"AnyOtherNewNamespace", "{c(libc.unshare(f)) for f in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000)}", "{'EPERM'}"},
    {"CloningIntoNamespaces", "{c(libc.syscall(56, f | 17, 0, 0, 0, 0)) for f in (0x10000000, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000)}", "{'EPERM'}"},
    {"CloningByTheCallThatCannotBeFiltered", "c(libc.syscall(435, None, 0))", "ENOSYS"},
    {"EnteringANamespace", "c(libc.setns(0, 0))", kRefused},
    // the kernel
    {"LoadingAKernelModule", "[c(libc.syscall(n, None, 0, 0)) for n in (175, 313, 176)]", "['EPERM', 'EPERM', 'EPERM']"},
    {"LoadingAKernel", "[c(libc.syscall(n, 0, 0, 0, 0, 0)) for n in (246, 320)]", "['EPERM', 'EPERM']"},
    {"Rebooting", "c(libc.syscall(169, 0, 0, 0, 0))", kRefused},
    {"Bpf", "c(libc.syscall(321, 0, None, 0))", kRefused},
    {"IoUring", "[c(libc.syscall(n, 1, None, 0, 0, 0, 0)) for n in (425, 426, 427)]", "['EPERM', 'EPERM', 'EPERM']"},
    {"PerfEvents", "c(libc.syscall(298, None, 0, -1, -1, 0))", kRefused},
    {"UserFaultHandling", "c(libc.syscall(323, 0))", kRefused},
    {"Keys", "[c(libc.syscall(n, 0, 0, 0, 0, 0)) for n in (248, 249, 250)]", "['EPERM', 'EPERM', 'EPERM']"},
    {"TheKernelsLog", "[c(libc.syscall(103, 3, None, 0)), e(lambda: open('/dev/kmsg'))]", "['EPERM', 'ENOENT']"},
    {"SwappingAccountingQuotas", "[c(libc.syscall(n, None, 0, 0, 0)) for n in (167, 168, 163, 179)]", "['EPERM', 'EPERM', 'EPERM', 'EPERM']"},
    // getpid as x32 and as i386 has it: mov $20, %eax; int $0x80; ret
    {"CallsOfOtherArchitectures", "[c(libc.syscall(0x40000000 | 39)), errno.errorcode.get(-machine('b814000000cd80c3'))]", "['ENOSYS', 'ENOSYS']"},
    {"KernelSettings", "{e(lambda: open('/proc/sys/' + f, 'w')) for f in ('kernel/core_pattern', 'kernel/hostname', 'vm/drop_caches', 'net/ipv4/ip_forward')}", "{'EROFS'}"},
    {"TheSystemRequestKey", "e(lambda: open('/proc/sysrq-trigger', 'w')) in ('EROFS', 'ENOENT')", "True"},
    // clock and names
    {"SettingTheClock", "[c(libc.clock_settime(0, (ctypes.c_long * 2)(0, 0))), c(libc.settimeofday((ctypes.c_long * 2)(0, 0), None)), c(libc.syscall(159, (ctypes.c_char * 256)()))]",
     "['EPERM', 'EPERM', 'EPERM']"},
    // privileges
    {"HavingCapabilities", "[l.split()[1] for l in open('/proc/self/status') if l.startswith('Cap')]",
     "['0000000000000000', '0000000000000000', '0000000000000000', '0000000000000000', '0000000000000000']"},
    {"RegainingCapabilitiesByExec", "subprocess.run(['grep', 'CapEff', '/proc/self/status'], capture_output=True, text=True).stdout.split()[1]", "0000000000000000"},
    {"GainingByASetUidFile",
     "(open('/tmp/s', 'wb').write(open('/usr/bin/grep', 'rb').read()), os.chmod('/tmp/s', 0o4755), oct(os.stat('/tmp/s').st_mode), "
     "subprocess.run(['/tmp/s', '-E', '^(CapPrm|CapEff|NoNewPrivs|Seccomp):', '/proc/self/status'], capture_output=True, text=True).stdout.split()[1::2])[2:]",
     "('0o104755', ['0000000000000000', '0000000000000000', '1', '2'])"},
    {"RaisingCapabilities", "[c(libc.prctl(47, 2, 21, 0, 0)), c(libc.syscall(126, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(1 << 21, 1 << 21)))]", "['EPERM', 'EPERM']"},
    {"BecomingAnotherUser", "[e(lambda: os.setuid(1)), e(lambda: os.setgid(1)), e(lambda: os.setgroups([1])), e(lambda: os.chown('/tmp', 1, 1))]", "['EINVAL', 'EINVAL', 'EPERM', 'EINVAL']"},
    {"RealTimePriority", "e(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))", kRefused},
    {"EscapingTheMemoryKiller", "e(lambda: open('/proc/self/oom_score_adj', 'w'))", "EROFS"},
    {"RaisingLimits", "[resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE), c(libc.setrlimit(7, (ctypes.c_ulong * 2)(4096, 4096)))]",
     "[(1024, 1024), (0, 0), 'EPERM']"},
    // cgroups
    {"ReachingCgroups", "[os.path.exists('/sys/fs/cgroup'), c(libc.mount(b'c', b'/tmp', b'cgroup2', 0, None)), c(libc.unshare(0x2000000))]", "[False, 'EPERM', 'EPERM']"},
    // sockets and network
    {"RawSockets", "{e(lambda: socket.socket(f, 3, 1)) for f in (socket.AF_INET, socket.AF_INET6)}", "{'EPERM'}"},
    {"PacketSockets", "[e(lambda: socket.socket(17, k, 0)) for k in (2, 3)] + [e(lambda: socket.socket(2, 10, 0))]", "['EPERM', 'EPERM', 'EPERM']"},
    {"UnusualSockets", "{e(lambda: socket.socket(f, 2, 0)) for f in (3, 4, 5, 9, 29, 31, 38, 40, 44)}", "{'EPERM'}"},
    {"NetlinkBeyondRouting", "{e(lambda: socket.socket(16, 3, p)) for p in (2, 4, 6, 9, 12, 15, 16)}", "{'EPERM'}"},
    {"OtherInterfaces", "[n for _, n in socket.if_nameindex()]", "['lo']"},
    {"TheInternet", "[connects('1.1.1.1', 443), connects('1.1.1.1', 53, kind=socket.SOCK_DGRAM), connects('2606:4700:4700::1111', 443, socket.AF_INET6)]", "['ENETUNREACH', 'ENETUNREACH', 'ENETUNREACH']"},
    {"TheMetadataService", "[connects('169.254.169.254', 80), connects('100.100.100.200', 80), connects('fd00:ec2::254', 80, socket.AF_INET6)]", "['ENETUNREACH', 'ENETUNREACH', 'ENETUNREACH']"},
    {"TheHostsPrivateNetworks", "{connects(h, 22) for h in ('10.0.0.1', '172.17.0.1', '192.168.0.1', '192.0.2.1')}", "{'ENETUNREACH'}"},
    {"TheHostsLoopback", "connects('127.0.0.1', HOST_PORT)", "ECONNREFUSED"},
    {"TheHostsAbstractSockets", "e(lambda: socket.socket(socket.AF_UNIX).connect('\\0mayfly-checklist-HOST_PID'))", "ECONNREFUSED"},
    {"OpeningAPrivilegedPort", "e(lambda: socket.socket().bind(('127.0.0.1', 81)))", "EACCES"},
    {"TheHostsSharedMemory", "len(open('/proc/sysvipc/shm').readlines())", "1"},
    // floods
    {"AnOpenFileFlood", "(lambda held: (e(lambda: [held.append(open('/dev/null')) for _ in range(5000)]), len(held) < 1024))([])", "('EMFILE', True)"},
};

// Of confined programs, whose process 1 is the keeper.
inline constexpr Row kConfinedRows[] = {
    {"ListingTheHostsFolders", "[os.listdir(d) for d in ('/home', '/root', '/opt', '/run', '/code')]", "[[], [], [], [], []]"},
    {"ReachingTheHostThroughTheFirstProcess", "[e(lambda: os.listdir('/proc/1/' + d)) for d in ('root', 'cwd', 'fd')]", "['EACCES', 'EACCES', 'EACCES']"},
    {"SeeingOtherProcesses", "sorted(p for p in os.listdir('/proc') if p.isdigit())", "['1', '2']"},
    {"ReadingTheFirstProcess", "[e(lambda: open('/proc/1/' + f, 'rb').read()) for f in ('mem', 'environ', 'maps')]", "['EACCES', 'EACCES', 'EACCES']"},
    {"EndingTheFirstProcess", "(os.kill(1, signal.SIGKILL), time.sleep(0.01), os.path.exists('/proc/1'))[2]", "True"},
    {"StoppingTheFirstProcess", "(os.kill(1, signal.SIGSTOP), open('/proc/1/stat').read().split()[2] in 'SR')[1]", "True"},
    {"TracingTheFirstProcess", "c(libc.ptrace(16, 1, None, None))", kRefused},
    {"ChangingTheHostName", "[c(libc.sethostname(b'x', 1)), c(libc.setdomainname(b'x', 1)), socket.gethostname()]", "['EPERM', 'EPERM', 'test']"},
    {"TakingADoorsPlace", "e(lambda: socket.socket().bind(('127.0.0.1', 8080)))", "EADDRINUSE"},
};

// What this test has outside that must not be reached from inside: a port, an abstract socket, System V memory, this process.
class Host {
 public:
  Host() : tcp_(made(AF_INET)), abstract_(made(AF_UNIX)), memory_(static_cast<int>(sys::check(::shmget(IPC_PRIVATE, kMemoryBytes, IPC_CREAT | 0600), "shmget"))) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    sys::check(::bind(tcp_.get(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    sys::check(::listen(tcp_.get(), 1), "listen");
    sys::check(::getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    port_ = ntohs(address.sin_port);
    std::string name = "mayfly-checklist-" + std::to_string(::getpid());
    sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
    std::copy(name.begin(), name.end(), local.sun_path + 1);
    sys::check(::bind(abstract_.get(), reinterpret_cast<sockaddr*>(&local), static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())), "bind");
    sys::check(::listen(abstract_.get(), 1), "listen");
  }

  Host(const Host&) = delete;
  ~Host() { ::shmctl(memory_, IPC_RMID, nullptr); }

  std::string filled_in(std::string text) const {
    const std::pair<const char*, std::string> words[] = {
        {"HOST_PID", std::to_string(::getpid())}, {"HOST_PARENT", std::to_string(::getppid())}, {"HOST_PORT", std::to_string(port_)}};
    for (const auto& [word, value] : words) {
      for (size_t at; (at = text.find(word)) != std::string::npos;) text.replace(at, std::string_view(word).size(), value);
    }
    return text;
  }

 private:
  static sys::Fd made(int family) { return sys::Fd(static_cast<int>(sys::check(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"))); }

  static constexpr size_t kMemoryBytes = 4096;

  sys::Fd tcp_, abstract_;
  int memory_;
  uint16_t port_ = 0;
};

}  // namespace mayfly::sandbox
