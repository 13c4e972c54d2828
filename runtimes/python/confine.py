"""How a zygote's child shuts itself in: its own processes, mounts, /tmp and System V memory, no privileges, no way to regain any.

Runs between fork and the first byte of tenant code. The C side of the sandbox is src/sandbox; what is here must happen in the forked
process itself."""
import ctypes
import os
import resource

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
PR_CAPBSET_DROP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 24, 22, 38
SECCOMP_MODE_FILTER = 2
CAP_SETPCAP, CAP_SYS_ADMIN = 8, 21
CAPABILITY_VERSION_3 = 0x20080522
SHARED_MEMORY_BYTES = 64 << 20  # /dev/shm, for multiprocessing's locks and small buffers; it counts as the instance's memory


class _Program(ctypes.Structure):  # struct sock_fprog
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def next_child_in_new_pid_namespace(own_namespace):
    """The child forked after this is the first process of a new pid namespace. A process may say so only once: hence back to its own first."""
    _check(_libc.setns(own_namespace, CLONE_NEWPID), "setns pid namespace")
    _check(_libc.unshare(CLONE_NEWPID), "unshare pid namespace")


def _mount(kind, target, flags, options=b""):
    _check(_libc.mount(kind, target, kind, flags, options), f"mount {target.decode()}")


def own_mounts(tmp_bytes):
    # With its own System V memory and queues, which end with it.
    _check(_libc.unshare(CLONE_NEWNS | CLONE_NEWIPC), "unshare mount and ipc namespaces")
    _mount(b"tmpfs", b"/tmp", MS_NOSUID | MS_NODEV, b"mode=1777,size=%d" % tmp_bytes)
    _mount(b"tmpfs", b"/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, b"mode=1777,size=%d" % SHARED_MEMORY_BYTES)
    _mount(b"proc", b"/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)


def no_privileges():
    for capability in (CAP_SYS_ADMIN, CAP_SETPCAP):  # the last in the bounding set; SETPCAP is needed until it goes itself
        _check(_libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "drop from bounding set")
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _check(_libc.capset(header, none), "capset")


def no_calls_but(program):
    """Installs the seccomp filter, an array of struct sock_filter."""
    memory = ctypes.create_string_buffer(program, len(program))
    filters = _Program(len(program) // 8, ctypes.addressof(memory))
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    _check(_libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filters), 0, 0), "seccomp")


def limit_memory(more_bytes):
    """Where there is no cgroup: a limit on what the process may still allocate, beyond what it has from its zygote."""
    with open("/proc/self/status") as status:
        now = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + more_bytes, now + more_bytes))
