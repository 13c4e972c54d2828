#!/usr/bin/env python3
"""CPU time per HTTP request: Mayfly's server against a hand-written epoll loop that sends the same answer.

    bench/plain_http.py BIN_FOLDER [--rounds N] [--seconds S]

Runs http_hello and raw_epoll from BIN_FOLDER (a release build) in turn under wrk, several rounds, at 16 and 64 keep-alive connections.
CPU time is the kernel's accounting of the server process (utime + stime of /proc/PID/schedstat's thread run time, in nanoseconds), divided
by the requests wrk counted. The round with the least cost counts for each server: noise only ever adds. Prints JSON; `ratio` is the
worse of the two connection counts.
"""
import argparse
import json
import os
import re
import subprocess

WARM_UP_SECONDS = 1


def cpu_us(pid):
    """CPU microseconds the process has used on all its threads."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1000


def load(port, connections, seconds):
    out = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return int(re.search(r"(\d+) requests in", out).group(1)), float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def measure(program, connections, seconds):
    server = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        load(port, connections, WARM_UP_SECONDS)
        before = cpu_us(server.pid)
        requests, rate = load(port, connections, seconds)
        return {"cpu_us": (cpu_us(server.pid) - before) / requests, "rate": rate}
    finally:
        server.kill()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    cases = {}
    for connections in (16, 64):
        runs = {"http_hello": [], "raw_epoll": []}
        for _ in range(options.rounds):
            for name, results in runs.items():
                results.append(measure(os.path.join(options.bin, name), connections, options.seconds))
        best = {name: min(results, key=lambda run: run["cpu_us"]) for name, results in runs.items()}
        cases[connections] = {
            "cpu_us_per_request": round(best["http_hello"]["cpu_us"], 3),
            "baseline_cpu_us_per_request": round(best["raw_epoll"]["cpu_us"], 3),
            "ratio": round(best["http_hello"]["cpu_us"] / best["raw_epoll"]["cpu_us"], 3),
            "requests_per_second": round(best["http_hello"]["rate"]),
            "baseline_requests_per_second": round(best["raw_epoll"]["rate"]),
            "all_cpu_us": {name: [round(run["cpu_us"], 2) for run in results] for name, results in runs.items()},
        }
    worst = max(cases.values(), key=lambda case: case["ratio"])
    print(json.dumps({**{key: worst[key] for key in ("cpu_us_per_request", "baseline_cpu_us_per_request", "ratio")},
                      "connections": cases}, indent=2))


if __name__ == "__main__":
    main()
