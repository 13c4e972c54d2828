"""What every bench measures with: the kernel's counts of a process tree, requests as bytes, and the load program."""
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile


def tree(pid):
    """pid and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = pathlib.Path("/proc", entry, "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def cpu_us(pid):
    """{process: CPU microseconds of its threads and of its children that have ended}, for pid and its descendants. Of ended children the
    kernel says it in ticks, of the others in nanoseconds."""
    tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
    used = {}
    for each in tree(pid):
        try:
            own = sum(int(pathlib.Path(f"/proc/{each}/task/{thread}/schedstat").read_text().split()[0]) / 1000 for thread in os.listdir(f"/proc/{each}/task"))
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            used[each] = own + (int(fields[13]) + int(fields[14])) * tick_us
        except OSError:
            continue
    return used


def rss_mb(pid):
    return next(int(line.split()[1]) / 1024 for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


def tree_rss_mb(pid):
    """Resident memory of a process and its descendants, each with the share of what it has in common with others (PSS)."""
    total = 0
    for each in tree(pid):
        try:
            total += next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{each}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total / 1024


# ---- Load

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raw(method, target, headers, body=b""):
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + f"Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def load(program, port, connections, seconds, requests, *options, before=(), complaints=None):
    """One run of the load program (load.cc) as a dict; `before`: a command that it runs under; `complaints`: where its stderr goes."""
    with tempfile.NamedTemporaryFile() as file:
        for request in requests:
            file.write(b"%08d" % len(request) + request)
        file.flush()
        command = [*before, program, str(port), str(connections), str(seconds), file.name, *options]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=complaints, text=True).stdout)


def spent_us(before, after):
    """{process: CPU microseconds between two cpu_us()}."""
    return {pid: used - before.get(pid, 0) for pid, used in after.items()}


def medians(runs):
    """{key: median} of dicts with equal keys, of those whose values are numbers."""
    return {key: round(statistics.median(run[key] for run in runs), 2) for key, value in runs[0].items() if isinstance(value, (int, float))}
