"""Ten times as many calls as can be served, for --overload-seconds: what is still done (goodput), how long accepted calls take, memory.

The function takes 5 ms of CPU time, so its capacity is what the machine has and not what the load can send. Peak is measured first, with as
many clients as keep every core busy; then requests are due at ten times that rate, whatever comes back. Answers other than 2xx must be
refusals (429 or 503). The load runs on the same machine: what it takes, the server lacks, and peak is measured with the same load program.
"""
import json
import threading
import time

import languages
import measure

WORK_US = 5000
TIMES = 10
CONNECTIONS = 2000           # clients that wait; beyond them the load reports what it could not send
GOODPUT_GOAL = 0.9
P99_GOAL_MS = 10_000         # the queue's deadline is at most the time a caller is let wait
MEMORY_GOAL_MB = 50          # growth of the server between the first quarter and the end
RECOVERY_LIMIT_S = 60
REFUSALS = {"429", "503"}


class Memory(threading.Thread):
    """Resident memory of the server, once a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.ended = pid, [], threading.Event()

    def run(self):
        while not self.ended.wait(1):
            self.samples.append(measure.rss_mb(self.pid))

    def end(self):
        self.ended.set()
        self.join()
        return self.samples


def recovery_seconds(program, port, clients, request, rate):
    """What the queue still holds is of clients that have gone."""
    begun = time.monotonic()
    while measure.load(program, port, clients, 1, [request], "--any-status")["per_second"] < rate and time.monotonic() - begun < RECOVERY_LIMIT_S:
        pass
    return max(0.0, time.monotonic() - begun - 1)


def run(bench):
    language = "python" if languages.missing(bench.bin, "cpp") else "cpp"
    server = bench.mayfly(pinned=False)
    try:
        name = languages.create(bench, server, language, "work", timeout=30, memory=128)
        request = languages.signed_call(server, name, json.dumps({"us": WORK_US}).encode())
        program, clients = bench.bin / "load", 2 * len(bench.cores)
        measure.load(program, server.port, clients, 2, [request])
        peak = measure.load(program, server.port, clients, 5, [request])
        memory = Memory(server.process.pid)
        memory.start()
        seconds = bench.options.overload_seconds
        over = measure.load(program, server.port, CONNECTIONS, seconds, [request], "--rate", str(peak["per_second"] * TIMES), "--any-status")
        samples = memory.end()
        recovered = recovery_seconds(program, server.port, clients, request, GOODPUT_GOAL * peak["per_second"])
        strange = {status: count for status, count in over["statuses"].items() if status[0] != "2" and status not in REFUSALS}
        early, late = samples[len(samples) // 4], max(samples[-max(1, len(samples) // 4):])
        title = f"{TIMES} x {peak['per_second']}/s of {languages.TITLES[language]} for {seconds:g} s"
        bench.row("overload", f"{title}: goodput of peak", over["per_second"] / peak["per_second"], "x", goal=GOODPUT_GOAL, at_least=True, per_second=over["per_second"], unsent=over["unsent"])
        bench.row("overload", f"{title}: p99 of accepted calls", over["p99_us"] / 1000, "ms", goal=P99_GOAL_MS, p50_ms=over["p50_us"] / 1000)
        bench.row("overload", f"{title}: memory of the server grew by", late - early, "MB", goal=MEMORY_GOAL_MB, rss_mb=round(late, 1))
        bench.row("overload", f"{title}: answers neither 2xx nor 429 nor 503", sum(strange.values()), "", goal=0)
        bench.row("overload", f"{title}: from its end until {GOODPUT_GOAL} of peak is served again", recovered, "s")
        return {"peak": peak, "over": over, "recovered_s": recovered, "rss_mb": samples}
    finally:
        server.close()
