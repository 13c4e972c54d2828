#!/usr/bin/env python3
"""Mixed functions under load while instances are killed at random: every answer is right or says what happened, and nothing is left over.

soak.py [--seconds 20] [--functions PROGRAM] [--seed N] [--json FILE]

In every language that this machine and this build have; C++ when bench_functions (PROGRAM) is built. What is left out is said.
Counted before the load and after it, both times with every instance gone: processes, network namespaces, cgroups, mounts, descriptors and
memory of the server, folders of its state. The whole proof takes 30 minutes, --seconds 1800; CI runs a short one.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import support

sys.path.insert(0, str(support.SOURCE / "bench"))
import languages

CLIENTS = 8
KILL_EVERY_S = 0.25
KEEP_ALIVE_S = 2
ANSWER_S = 45            # more than any timeout of the functions: who waits longer waits for ever
SETTLE_S = 60            # at most, until what is idle is gone
SEVERAL_AT_ONCE = ("cpp", "node")
# What may be more afterwards than before: pools that happen to be fuller (free network namespaces are kept for the most that were in use at
# once), connections of the last request. A leak grows with the kills, of which the shortest run has some fifty.
ALLOWED = {"processes": (4, ""), "network namespaces": (16, ""), "cgroups": (4, ""), "mounts": (4, ""), "open files of the server": (16, ""), "entries of the state folder": (16, ""),
           "resident memory of the server": (24, "MB")}


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def children():
    """{pid: [children]} of the whole machine."""
    found = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := read(f"/proc/{entry}/stat")):
            found[int(stat.rsplit(")", 1)[1].split()[1])].append(int(entry))
    return found


def descendants(pid):
    below, found, todo = children(), [], [pid]
    while todo:
        for child in below[todo.pop()]:
            found.append(child)
            todo.append(child)
    return found, below


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def counts(server):
    if server.process.poll() is not None:
        raise SystemExit(f"FAULT: the server ended by itself, {server.process.returncode}:\n{server.output()[-3000:]}")
    pid = server.process.pid
    every, _ = descendants(pid)
    own_network = link("/proc/self/ns/net")
    networks = {link(f"/proc/{each}/ns/net") for each in every} | {target for each in [pid, *every] for fd in list_of(f"/proc/{each}/fd") if (target := link(f"/proc/{each}/fd/{fd}")).startswith("net:")}
    status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
    return {
        "processes": len(every),
        "network namespaces": len(networks - {own_network, ""}),
        "cgroups": sum(f"mayfly-{pid}/" in folder for folder, _, _ in os.walk("/sys/fs/cgroup")),
        "mounts": read(f"/proc/{pid}/mountinfo").count("\n"),
        "open files of the server": len(list_of(f"/proc/{pid}/fd")),
        "entries of the state folder": sum(len(folders) + len(files) for _, folders, files in os.walk(os.path.join(server.data, "run"))),
        "resident memory of the server": int(status["VmRSS"].split()[0]) / 1024,
    }


def list_of(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def killable(server):
    """Processes that run functions: leaves of the server's tree that are not its own program."""
    every, below = descendants(server.process.pid)
    return [pid for pid in every if not below[pid] and not read(f"/proc/{pid}/comm").startswith("mayfly")]


class Soak:
    def __init__(self, server, names, seed):
        self.server, self.names, self.seed = server, names, seed
        self.tally, self.died_in, self.wrong, self.kills = collections.Counter(), collections.Counter(), [], 0
        self.lock, self.end = threading.Lock(), threading.Event()

    def invoke(self, connection, name, event):
        connection.sendall(languages.signed_call(self.server, name, event.encode(), service="soak"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode(errors="replace")

    def client(self, number):
        chance = random.Random(f"{self.seed}/{number}")
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=ANSWER_S)
        while not self.end.is_set():
            nonce = f"{chance.getrandbits(64):016x}"
            name = chance.choice(self.names)
            try:
                status, body = self.invoke(connection, name, json.dumps({"nonce": nonce, "ms": chance.choice((0, 0, 0, 1, 5, 20))}))
            except (OSError, http.client.HTTPException) as error:  # the server is silent, or gone
                self.end.set()
                with self.lock:
                    self.tally["silent"] += 1
                    self.wrong.append(f"{name}: {type(error).__name__} {error}")
                return
            with self.lock:
                self.note(name, status, body, nonce)

    def note(self, name, status, body, nonce):
        if status == 200 and '"nonce"' in body:
            self.tally["right" if json.loads(body) == {"nonce": nonce} else "wrong"] += 1
            if json.loads(body) != {"nonce": nonce}:
                self.wrong.append(body)
        elif "exited unexpectedly" in body:
            self.tally["died"] += 1
            self.died_in[name] += 1
        elif status in (429, 503):
            self.tally["refused"] += 1
        else:
            self.tally["strange"] += 1
            self.wrong.append(f"{status} {body[:300]}")

    def killer(self):
        chance = random.Random(f"{self.seed}/killer")
        while not self.end.wait(KILL_EVERY_S):
            if victims := killable(self.server):
                try:
                    os.kill(chance.choice(victims), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass

    def run(self, seconds, kill):
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)] + ([threading.Thread(target=self.killer)] if kill else [])
        for thread in threads:
            thread.start()
        self.end.wait(seconds)
        self.end.set()
        for thread in threads:
            thread.join()


def settled(server, limits=None):
    """Counts when idle instances are gone: after some keep-alives, or, given limits, as soon as nothing is beyond them."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        now = counts(server)
        if (limits is not None and all(now[what] <= limits[what] for what in now)) or time.monotonic() > deadline:
            return now
        if limits is None and time.monotonic() > deadline - SETTLE_S + 3 * KEEP_ALIVE_S:
            return now
        time.sleep(0.2)


def end(server):
    try:
        server.close()
    except subprocess.TimeoutExpired:  # it hangs, which the clients have seen before
        server.kill()
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--functions", help="the C++ program of the benches' functions")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--json")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    binaries = pathlib.Path(options.functions).resolve().parent if options.functions else pathlib.Path(support.BINARY).resolve().parent
    skipped = {language: why for language in languages.TITLES if (why := languages.missing(binaries, language))}
    server = support.Mayfly("--keep-alive", str(KEEP_ALIVE_S))
    try:
        fc, names = server.fc(), []
        fc.create_service("soak")
        for language in languages.TITLES:
            if language in skipped:
                continue
            package = languages.zip_of(binaries, pathlib.Path(server.data, "packages"), language)
            for concurrency in (1, 4) if language in SEVERAL_AT_ONCE else (1,):
                names.append(f"{language}{concurrency}")
                fc.create_function("soak", names[-1], languages.RUNTIMES[language], languages.handler(language, "echo"), timeout=30, memorySize=256, instanceConcurrency=concurrency,
                                   codeZipFile=package)
        Soak(server, names, options.seed).run(3, kill=False)  # zygotes, pools and buffers are there from here on
        before = settled(server)
        soak = Soak(server, names, options.seed)
        soak.run(options.seconds, kill=True)
        after = settled(server, {what: before[what] + ALLOWED[what][0] for what in before})
    finally:
        end(server)
    table = {what: {"before": before[what], "after": after[what], "allowed": allowed, "unit": unit} for what, (allowed, unit) in ALLOWED.items()}
    over = [what for what, row in table.items() if row["after"] - row["before"] > row["allowed"]]
    faults = over + [f"{count} answers {kind}: {soak.wrong[:3]}" for kind in ("wrong", "strange", "silent") if (count := soak.tally[kind])]
    if soak.tally["right"] < sum(soak.tally.values()) / 2 or soak.kills == 0:
        faults.append("fewer than half of the answers are right, or nothing was killed")
    for what, row in table.items():
        print(f"{what:32} before {row['before']:8.1f}  after {row['after']:8.1f}  allowed +{row['allowed']}{' LEAK' if what in over else ''}")
    print(f"{dict(soak.tally)}, {soak.kills} kills, calls that died in {dict(soak.died_in)}, functions {names}, left out {skipped}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"counts": table, "calls": sum(soak.tally.values()), "kills": soak.kills, "tally": soak.tally, "seconds": options.seconds, "skipped": skipped,
                                                          "faults": faults, "passed": not faults}))
    for fault in faults:
        print("FAULT:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
