#!/usr/bin/env python3
"""10,000 registered functions: what they cost in memory, and whether a call becomes slower because of them.

A server is measured with one function: resident memory, and the rate of that function at 16 clients. Then the others are registered, 50 in
each service as the vendor allows, and the same is measured again on the same server; then again after a restart, when the catalogue has
been read from the store. What is called is always the first function, so the difference is what the others cost.

  many_functions.py --build build/release [--libraries DIR] [--functions N] [--per-service N] [--rounds N] [--json FILE]
"""
import argparse
import base64
import email.utils
import hashlib
import hmac
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
sys.path.insert(0, str(HERE))

import measure

MEMORY_GOAL_MB = 100
RATE_GOAL = 0.97     # "no slower": what two measurements of the same thing differ by
CLIENTS = 16
SECONDS = 3
REGISTERING = 8      # connections that register functions
HANDLER = "def handler(event, context):\n    return event\n"


def signed(server, method, path, body, content="application/json"):
    date = email.utils.formatdate(usegmt=True)
    text = f"{method}\n\n{content}\n{date}\n{path}"
    signature = base64.b64encode(hmac.new(server.key_secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return measure.raw(method, path, {"Host": "127.0.0.1", "Date": date, "Content-Type": content, "Authorization": f"FC {server.key_id}:{signature}"}, body)


class Bench:
    def __init__(self, options):
        import support
        self.options, self.program = options, pathlib.Path(options.build, "bin", "load")
        self.server = support.Mayfly()
        self.code = base64.b64encode(support.zip_bytes({"index.py": HANDLER})).decode()
        self.rows = []

    def port(self):
        return int(self.server.endpoint.rsplit(":", 1)[1])

    def send(self, requests, connections=1):
        measure.load(self.program, self.port(), connections, 0, requests)

    def service(self, name):
        return signed(self.server, "POST", "/2016-08-15/services", json.dumps({"serviceName": name}).encode())

    def function(self, service, name):
        body = {"functionName": name, "runtime": "python3", "handler": "index.handler", "memorySize": 128, "timeout": 30, "code": {"zipFile": self.code},
                "environmentVariables": {"PLACE": f"{service}/{name}"}, "description": f"function {name} of many"}
        return signed(self.server, "POST", f"/2016-08-15/services/{service}/functions", json.dumps(body).encode())

    def rate(self):
        request = signed(self.server, "POST", "/2016-08-15/services/first/functions/first/invocations", b"{}", "application/octet-stream")
        rates = [measure.load(self.program, self.port(), CLIENTS, SECONDS, [request]) for _ in range(self.options.rounds + 1)]
        return sorted(rates[1:], key=lambda each: each["per_second"])[len(rates[1:]) // 2]

    def row(self, what, measured, unit, **more):
        self.rows.append({"what": what, "measured": measured, "unit": unit, **more})
        print(f"  {what}: {measured:.2f} {unit}", flush=True)

    def run(self):
        count, per_service = self.options.functions, self.options.per_service
        self.send([self.service("first")])
        self.send([self.function("first", "first")])
        one = self.rate()
        rss_one = measure.rss_mb(self.server.process.pid)
        services = [f"s{n}" for n in range((count - 1 + per_service - 1) // per_service)]
        began = time.monotonic()
        self.send([self.service(name) for name in services])
        self.send([self.function(services[n // per_service], f"f{n}") for n in range(count - 1)], REGISTERING)
        took = time.monotonic() - began
        rss_many = measure.rss_mb(self.server.process.pid)
        many = self.rate()
        self.row(f"{count} functions registered: memory", rss_many - rss_one, "MB", goal=MEMORY_GOAL_MB, before=round(rss_one, 1))
        self.row(f"{count} functions registered: rate of one, of what it was", many["per_second"] / one["per_second"], "x", goal=RATE_GOAL, at_least=True,
                 before=one["per_second"], after=many["per_second"])
        self.row(f"{count} functions registered: time for one registration", 1000 * took / count, "ms")
        self.server.stop()
        began = time.monotonic()
        self.server.start()
        self.row(f"{count} functions registered: restart until ready", time.monotonic() - began, "s")
        again = self.rate()
        self.row(f"{count} functions registered: memory after a restart", measure.rss_mb(self.server.process.pid) - rss_one, "MB", goal=MEMORY_GOAL_MB)
        self.row(f"{count} functions registered: rate after a restart, of what it was", again["per_second"] / one["per_second"], "x", goal=RATE_GOAL, at_least=True)
        return {"rows": self.rows, "one": one, "many": many, "restarted": again}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--libraries", default="")
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--per-service", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    os.environ["MAYFLY_BINARY"] = str(pathlib.Path(options.build, "bin", "mayfly"))
    if options.libraries:
        os.environ["MAYFLY_TEST_LIBRARIES"] = str(options.libraries)
    bench = Bench(options)
    try:
        result = bench.run()
    finally:
        bench.server.close()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
