#!/usr/bin/env python3
"""Instances measured beside their peers, in the same run. `./dev bench instances [PART ...] [--peer NAME=FILE] [--json FILE]`.

  calls     CPU, p50 and p99 of warm calls at 1, 16 and 64 clients: the peers of peers.py, then Mayfly's languages
  relay     function to function: one calls another through the platform's door
  cold      first byte of the answer of a new instance, per language
  starts    new instances a second, all asked for at once
  mixed     100 functions called in turn beside one function, and 100 plain processes beside one
  many      10,000 registered functions: memory and rate (many_functions.py)
  overload  ten times as many calls as can be served (overload.py)
  soak      mixed languages, instances killed at random: what is left over (tests/soak.py)

Each server with all its processes has one core, the load another (--no-pin: none is pinned): CPU of a request is then what that core spends on
it, and the rate what one core gives. All servers of `calls` run at the same time and are measured in turn, --rounds times; medians count.
CPU is the kernel's accounting of the process tree. What cannot be measured here is listed with the reason.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import cold_starts
import languages
import measure
import overload
import peers

PARTS = ("calls", "relay", "cold", "starts", "mixed", "many", "overload", "soak")
CLIENTS = (1, 16, 64)
RELAY_GOAL_US = 8
MIXED_FUNCTIONS, MIXED_GOAL = 100, 0.95


class Bench:
    def __init__(self, options):
        self.bin = pathlib.Path(options.build, "bin").resolve()
        self.scratch = pathlib.Path(options.scratch or tempfile.gettempdir()) / "mayfly-bench-peers"
        self.rounds, self.seconds = options.rounds, options.seconds
        self.given = dict(word.split("=", 1) for word in options.peer)
        self.versions = dict(word.split("=", 1) for word in options.peer_version)
        self.options = options
        cores = sorted(os.sched_getaffinity(0))
        self.pinned = len(cores) > 1 and not options.no_pin
        self.server_core, self.load_core = ({cores[0]}, {cores[-1]}) if self.pinned else (set(cores), set(cores))
        self.cores = set(cores)
        os.environ["MAYFLY_BINARY"] = str(self.bin / "mayfly")
        os.environ["MAYFLY_TEST_LIBRARIES"] = str(pathlib.Path(options.libraries).resolve())
        import support
        self.support = support
        self.rows, self.skipped = [], []

    def row(self, part, what, measured, unit, goal=None, at_least=False, **more):
        met = None if goal is None else measured >= goal if at_least else measured <= goal
        self.rows.append({"part": part, "what": what, "measured": round(measured, 2), "unit": unit, "goal": goal, "met": met, **more})

    def skip(self, part, what, why):
        self.skipped.append({"part": part, "what": what, "why": str(why)})

    def mayfly(self, *arguments, pinned=True):
        """A server on its core, with every runtime's functions and a bench service."""
        os.sched_setaffinity(0, self.server_core if pinned else self.cores)  # children inherit it
        try:
            server = self.support.Mayfly(*arguments, *(("--shards", str(len(self.server_core))) if pinned else ()))
        finally:
            os.sched_setaffinity(0, self.cores)
        server.port = int(server.endpoint.rsplit(":", 1)[1])
        server.client = server.fc()
        server.client.create_service("bench")
        return server

    def peer(self, make):
        os.sched_setaffinity(0, self.server_core)
        try:
            peer = make(self)
        finally:
            os.sched_setaffinity(0, self.cores)
        try:
            peer.wait(self.bin / "load")
        except peers.Unavailable:
            peer.stop()
            raise
        return peer

    def load(self, target, connections, seconds, *options):
        """One run against a Target: counts of the load program, and CPU of a request."""
        os.sched_setaffinity(0, self.load_core)
        try:
            before = measure.cpu_us(target.pid)
            result = measure.load(self.bin / "load", target.port, connections, seconds, target.requests, *options, before=target.before)
            spent = measure.spent_us(before, measure.cpu_us(target.pid))
        finally:
            os.sched_setaffinity(0, self.cores)
        result["cpu_us"] = sum(spent.values()) / max(result["requests"], 1)
        result["server_us"] = spent[target.pid] / max(result["requests"], 1)
        return result

    # ---- Parts

    def calls(self):
        targets, running = [], []
        try:
            for name, make in peers.EVERY.items():
                try:
                    peer = self.peer(make)
                except (peers.Unavailable, OSError) as why:
                    self.skip("calls", name, why)
                    continue
                running.append(peer.stop)
                targets.append(Target(f"{peer.name} {peer.version}", peer.process.pid, peer.port, [peer.request], peer.before))
            server = self.mayfly()
            running.append(server.close)
            for made in languages.call_targets(self, server):
                targets.append(Target(made.what, server.process.pid, server.port, made.requests, goals=made.goals))
            return self.in_turn(targets)
        finally:
            for stop in running:
                stop()

    def in_turn(self, targets):
        results = {target.what: {} for target in targets}
        for connections in CLIENTS:
            runs = {target.what: [] for target in targets}
            for target in targets:
                self.load(target, connections, 1)
            for _ in range(self.rounds):
                for target in targets:
                    runs[target.what].append(self.load(target, connections, self.seconds))
            for target in targets:
                one = measure.medians(runs[target.what])
                results[target.what][connections] = {**one, "all_cpu_us": [round(run["cpu_us"], 2) for run in runs[target.what]]}
                self.row("calls", f"{target.what}, {connections} clients", one["cpu_us"], "us CPU", goal=target.goals.get(connections),
                         p50_us=one["p50_us"], p99_us=one["p99_us"], per_second=one["per_second"], server_us=one["server_us"])
        return results

    def relay(self):
        """A C++ function calls another, anonymously, over connections that it keeps."""
        if why := languages.missing(self.bin, "cpp"):
            return self.skip("relay", "function to function", why)
        server = self.mayfly()
        try:
            languages.create(self, server, "cpp", "relay", timeout=60)
            languages.create(self, server, "cpp", "quick_page", instanceConcurrency=16)
            languages.open_to_all(server, "quick_page")
            results = {}
            for connections in (1, 16):
                calls = 5000 * connections
                event = json.dumps({"path": "/2016-08-15/proxy/bench/quick_page/", "calls": calls, "connections": connections})
                runs = []
                for number in range(self.rounds + 1):
                    before, begun = measure.cpu_us(server.process.pid), time.monotonic()
                    answer = server.client.invoke_function("bench", "relay", event)
                    took = time.monotonic() - begun
                    assert json.loads(answer.data) == {"calls": calls}, answer.data
                    if number > 0:  # the first starts the instances
                        spent = measure.spent_us(before, measure.cpu_us(server.process.pid))
                        runs.append({"cpu_us": sum(spent.values()) / calls, "server_us": spent[server.process.pid] / calls, "per_second": calls / took})
                one = results[connections] = measure.medians(runs)
                self.row("relay", f"C++ function calls C++ function, {connections} at once, both and the server", one["cpu_us"], "us CPU", goal=RELAY_GOAL_US,
                         per_second=one["per_second"], server_us=one["server_us"])
            return results
        finally:
            server.close()

    def mixed(self):
        """100 functions in turn, and one of them, at 16 clients. What no platform can do about it: the same with plain processes of the
        language (bench/processes.cc). Beyond a few address spaces each switch finds cold caches; so what counts is what a call costs more."""
        results = {}
        for language in ("cpp", "python", "node"):
            if why := languages.missing(self.bin, language):
                self.skip("mixed", language, why)
                continue
            server = self.mayfly()
            try:
                names = [languages.create(self, server, language, "hello", name=f"hello{i}", memory=128) for i in range(MIXED_FUNCTIONS)]
                requests = [languages.signed_call(server, name) for name in names]
                one = Target("one", server.process.pid, server.port, requests[:1])
                every = Target("mixed", server.process.pid, server.port, requests)
                rates = {"one": [], "mixed": []}
                self.load(every, 2, 0)  # each is called once: it has an instance from here on
                for target in (one, every):
                    self.load(target, 16, 2)
                for _ in range(self.rounds):
                    for target in (one, every):
                        rates[target.what].append(self.load(target, 16, self.seconds))
                alone, together = measure.medians(rates["one"]), measure.medians(rates["mixed"])
                results[language] = {"one": alone, "mixed": together, "processes": self.processes(language)}
                self.row("mixed", f"{MIXED_FUNCTIONS} {languages.TITLES[language]} functions mixed, of one function's rate", together["per_second"] / alone["per_second"], "x", goal=MIXED_GOAL, at_least=True,
                         per_second=together["per_second"], one_per_second=alone["per_second"])
                self.row("mixed", f"{languages.TITLES[language]}: a call costs more among {MIXED_FUNCTIONS} functions", together["cpu_us"] - alone["cpu_us"], "us CPU",
                         mixed_cpu_us=together["cpu_us"], one_cpu_us=alone["cpu_us"])
            finally:
                server.close()
        return results

    def processes(self, language):
        """Plain processes of a language: one, and MIXED_FUNCTIONS in turn with 16 calls at once."""
        command = languages.PLAIN_PROCESSES[language]
        rates = {}
        for children in (1, MIXED_FUNCTIONS):
            os.sched_setaffinity(0, self.server_core)
            try:
                runs = [json.loads(subprocess.check_output([self.bin / "processes", str(children), str(min(children, 16)), str(self.seconds), *command])) for _ in range(self.rounds)]
            finally:
                os.sched_setaffinity(0, self.cores)
            rates[children] = measure.medians(runs)
        one, every = rates[1], rates[MIXED_FUNCTIONS]
        self.row("mixed", f"{MIXED_FUNCTIONS} plain processes of {languages.TITLES[language]} mixed, of one's rate", every["per_second"] / one["per_second"], "x", mixed_us=every["us"],
                 one_us=one["us"])
        return rates

    def many(self):
        script = HERE / "many_functions.py"
        if not script.exists():
            return self.skip("many", "10,000 registered functions", "bench/many_functions.py is not there")
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            subprocess.run([sys.executable, script, "--build", self.bin.parent, "--libraries", self.options.libraries, "--json", file.name], check=True, stdout=sys.stderr)
            result = json.loads(pathlib.Path(file.name).read_text())
        for row in result["rows"]:
            self.row("many", row["what"], row["measured"], row["unit"], goal=row.get("goal"), at_least=row.get("at_least", False))
        return result

    def cold(self):
        return cold_starts.cold(self)

    def starts(self):
        return cold_starts.starts(self)

    def overload(self):
        return overload.run(self)

    def soak(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            done = subprocess.run([sys.executable, HERE.parent / "tests" / "soak.py", "--seconds", str(self.options.soak_seconds), "--functions", self.bin / "bench_functions", "--json", file.name],
                                  stdout=sys.stderr)
            result = json.loads(pathlib.Path(file.name).read_text())
        for what, counts in result["counts"].items():
            self.row("soak", f"{what} after {result['seconds']} s and {result['calls']} calls, beyond {counts['before']} before", counts["after"] - counts["before"], counts["unit"], goal=counts["allowed"])
        for what, why in result["skipped"].items():
            self.skip("soak", what, why)
        assert (done.returncode == 0) == result["passed"]
        return result


class Target:
    def __init__(self, what, pid, port, requests, before=(), goals=None):
        self.what, self.pid, self.port, self.requests, self.before, self.goals = what, pid, port, requests, before, goals or {}


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "unknown")
    return {"cores": len(os.sched_getaffinity(0)), "model": model, "kernel": os.uname().release, "load_before": os.getloadavg()[0]}


def show(bench):
    for row in bench.rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
        more = "  ".join(f"{key} {value:g}" for key, value in row.items() if key not in ("part", "what", "measured", "unit", "goal", "met") and isinstance(value, (int, float)))
        print(f"{row['part']:8} {row['what']:78} {row['measured']:>10} {row['unit']:7} {'goal ' + str(row['goal']) if row['goal'] is not None else '':13} {verdict:7} {more}")
    for each in bench.skipped:
        print(f"{each['part']:8} {each['what']:78} not measured: {each['why']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="which; all when none is named")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--libraries", default="build/deps/python")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each number; the median counts")
    parser.add_argument("--seconds", type=float, default=2, help="one measurement of a rate")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--soak-seconds", type=float, default=60)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=FILE", help=f"a peer's program: {', '.join(peers.GIVEN)}")
    parser.add_argument("--peer-version", action="append", default=[], metavar="NAME=VERSION", help="of a peer that does not say it itself")
    parser.add_argument("--scratch", help="where peers are installed; default: the temporary folder")
    parser.add_argument("--no-pin", action="store_true")
    parser.add_argument("--json", help="also write the results to this file")
    options = parser.parse_args()
    bench = Bench(options)
    results = {"machine": machine(), "pinned": bench.pinned}
    for part in options.part or PARTS:
        print(f"{part} ...", file=sys.stderr, flush=True)
        results[part] = getattr(bench, part)()
    show(bench)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"rows": bench.rows, "skipped": bench.skipped, "details": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
