#!/usr/bin/env python3
"""Measurements of a release build, each beside a baseline of the same run. `./dev bench [NAME ...] [--json FILE]`; docs/BENCHMARKS.md.

  http    plain HTTP against a raw epoll server (plain_http.py)
  call    warm Python call through the FC API: CPU of server and workers per request, what its signature costs, one shard and all
  cold    Python cold start with cv2: first byte of the answer of a new instance, from a zygote that runs already
  put     durable 1 KiB object puts, 64 clients, beside write + fdatasync by one writer on the same disk
  flow    durable flow steps through the API (16 connections) and of the engine alone, beside the same fdatasync rate
  idle    resident memory and start-up time, beside an idle python3

CPU time is the kernel's accounting of the whole process tree. What is compared is measured alternately, --rounds times; medians count.
"""
import argparse
import base64
import email.utils
import hashlib
import hmac
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import measure
from measure import cpu_us, raw, rss_mb

SECONDS = 2  # one measurement of a rate


# ---- Requests as bytes

def sign(secret, text, digest):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), digest).digest()).decode()


def fc_call(keys, path, body=b"{}"):
    """A signed POST to the FC API."""
    key_id, secret, token = keys
    date = email.utils.formatdate(usegmt=True)
    extra = {"x-fc-security-token": token} if token else {}
    covered = "".join(f"{name}:{value}\n" for name, value in extra.items()) + path
    signature = sign(secret, f"POST\n\napplication/octet-stream\n{date}\n{covered}", hashlib.sha256)
    return raw("POST", path, {"Host": "127.0.0.1", "Date": date, "Content-Type": "application/octet-stream", **extra, "Authorization": f"FC {key_id}:{signature}"}, body)


def invocation(service, function):
    return f"/2016-08-15/services/{service}/functions/{function}/invocations"


def oss_put(server, bucket, key, body):
    date = email.utils.formatdate(usegmt=True)
    signature = sign(server.key_secret, f"PUT\n\n\n{date}\n/{bucket}/{key}", hashlib.sha1)
    return raw("PUT", f"/{bucket}/{key}", {"Host": "127.0.0.1", "Date": date, "Authorization": f"OSS {server.key_id}:{signature}"}, body)


def rpc_query(server, version, action, parameters):
    """The signed query of an RPC call (FnF, RAM, STS)."""
    every = {**parameters, "Action": action, "Version": version, "AccessKeyId": server.key_id, "Format": "JSON", "SignatureMethod": "HMAC-SHA1",
             "SignatureNonce": uuid.uuid4().hex, "SignatureVersion": "1.0", "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    query = "&".join(f"{urllib.parse.quote(k, safe='~')}={urllib.parse.quote(str(every[k]), safe='~')}" for k in sorted(every))
    signature = sign(server.key_secret + "&", "POST&%2F&" + urllib.parse.quote(query, safe="~"), hashlib.sha1)
    return query + "&Signature=" + urllib.parse.quote(signature, safe="~")


def rpc(server, version, action, **parameters):
    request = urllib.request.Request(f"{server.endpoint}/?{rpc_query(server, version, action, parameters)}", data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


FNF, RAM, STS = "2019-03-15", "2015-05-01", "2015-04-01"
EVERYTHING = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
ANYONE = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["*"]}}]}'


def temporary_keys(server):
    rpc(server, RAM, "CreateRole", RoleName="caller", AssumeRolePolicyDocument=ANYONE)
    rpc(server, RAM, "CreatePolicy", PolicyName="everything", PolicyDocument=EVERYTHING)
    rpc(server, RAM, "AttachPolicyToRole", PolicyType="Custom", PolicyName="everything", RoleName="caller")
    keys = rpc(server, STS, "AssumeRole", RoleArn=f"acs:ram::{server.account}:role/caller", RoleSessionName="bench")["Credentials"]
    return keys["AccessKeyId"], keys["AccessKeySecret"], keys["SecurityToken"]


ECHO = "def handler(event, context):\n    return event\n"
PAGE = "def handler(environ, start_response):\n    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'{}']\n"
CV = "import cv2, numpy\ndef handler(event, context):\n    return cv2.__version__\n"


class Bench:
    def __init__(self, options):
        self.bin = pathlib.Path(options.build, "bin")
        self.rounds = options.rounds
        os.environ["MAYFLY_BINARY"] = str(self.bin / "mayfly")
        os.environ["MAYFLY_TEST_LIBRARIES"] = str(pathlib.Path(options.libraries).resolve())
        import support
        self.support = support
        self.rows = []

    def row(self, bench, what, measured, unit, goal=None, baseline=None, baseline_is="", at_least=False):
        ratio = round(measured / baseline, 2) if baseline else None
        met = None if goal is None else measured >= goal if at_least else measured <= goal
        self.rows.append({"bench": bench, "what": what, "measured": round(measured, 2), "unit": unit, "goal": goal, "met": met,
                          "baseline": round(baseline, 2) if baseline else None, "baseline_is": baseline_is, "ratio": ratio})

    def load(self, server, connections, seconds, requests):
        before = cpu_us(server.process.pid)
        result = measure.load(self.bin / "load", server.endpoint.rsplit(":", 1)[1], connections, seconds, requests)
        spent = measure.spent_us(before, cpu_us(server.process.pid))
        of_server = spent.pop(server.process.pid)
        result["server_us"] = of_server / result["requests"]
        result["workers_us"] = sum(spent.values()) / result["requests"]
        result["cpu_us"] = result["server_us"] + result["workers_us"]
        return result

    def alternate(self, server, connections, cases):
        """{name: medians of every number} of cases measured in turn."""
        runs = {name: [] for name in cases}
        for requests in cases.values():
            self.load(server, connections, 1, requests)
        for _ in range(self.rounds):
            for name, requests in cases.items():
                runs[name].append(self.load(server, connections, SECONDS, requests))
        return {name: measure.medians(each) for name, each in runs.items()}

    def fsyncs_per_second(self, folder):
        """Appends of 1 KiB, each made durable: what the disk gives one writer."""
        with open(os.path.join(folder, "fsync.probe"), "wb", buffering=0) as file:
            count, end = 0, time.monotonic() + SECONDS
            while time.monotonic() < end:
                file.write(b"x" * 1024)
                os.fdatasync(file.fileno())
                count += 1
        return count / SECONDS

    def function(self, fc, name, code, **more):
        fc.create_function("bench", name, "python3", "index.handler", timeout=60, memorySize=512, codeZipFile=self.support.zip_file({"index.py": code}), **more)

    # ---- The benches

    def http(self):
        out = subprocess.run([sys.executable, HERE / "plain_http.py", self.bin, "--rounds", str(self.rounds)], check=True, stdout=subprocess.PIPE, text=True).stdout
        result = json.loads(out)
        self.row("http", "plain GET, CPU", result["cpu_us_per_request"], "us", goal=round(1.35 * result["baseline_cpu_us_per_request"], 2),
                 baseline=result["baseline_cpu_us_per_request"], baseline_is="raw epoll loop")
        return result

    def micro(self, program, case):
        """One Google benchmark: its repetitions' results, in order."""
        out = subprocess.run([self.bin / program, "--benchmark_format=json", f"--benchmark_filter={case}", f"--benchmark_repetitions={self.rounds}"],
                             check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return [each for each in json.loads(out)["benchmarks"] if each["run_type"] == "iteration"]

    def signature_us(self):
        """What verifying one call's signature costs: measured alone, for the difference of two servers is smaller than their noise."""
        cost = statistics.median(each["cpu_time"] for each in self.micro("auth_bench", "verify_an_fc_invocation/temporary:0")) / 1000
        if not any(row["what"].startswith("signature") for row in self.rows):
            self.row("call", "signature of a call, verified (account key)", cost, "us")
        return cost

    def call(self):
        return {label: self.call_on(label, arguments) for label, arguments in (("all shards", ()), ("one shard", ("--shards", "1")))}

    def call_on(self, label, arguments):
        server = self.support.Mayfly(*arguments)
        try:
            fc = server.fc()
            fc.create_service("bench")
            self.function(fc, "echo", ECHO)
            root = (server.key_id, server.key_secret, "")
            self.function(fc, "open", PAGE)
            fc.create_trigger("bench", "open", "http", "http", {"authType": "anonymous", "methods": ["POST"]}, "", "")
            proxy = "/2016-08-15/proxy/bench/{}/"
            cases = {
                "health": [raw("GET", "/mayfly/v1/health", {"Host": "127.0.0.1"})],
                "call": [fc_call(root, invocation("bench", "echo"))],
                "call, temporary key": [fc_call(temporary_keys(server), invocation("bench", "echo"))],
                "http trigger, anonymous": [raw("POST", proxy.format("open"), {"Host": "127.0.0.1", "Content-Type": "application/octet-stream"}, b"{}")],
            }
            signature = self.signature_us()
            results = {}
            for connections in (1, 16):
                one = self.alternate(server, connections, cases)
                results[f"{connections} connections"] = one
                where = f"{connections} connections, {label}"
                health = one["health"]["cpu_us"]
                self.row("call", f"warm call without its signature, {where}", one["call"]["cpu_us"] - signature, "us", goal=25, baseline=health, baseline_is="plain HTTP, same server")
                self.row("call", f"with its signature; server {one['call']['server_us']}, workers {one['call']['workers_us']}", one["call"]["cpu_us"], "us", baseline=health, baseline_is="plain HTTP, same server")
                self.row("call", f"temporary key, {where}", one["call, temporary key"]["cpu_us"], "us", baseline=one["call"]["cpu_us"], baseline_is="account key")
                self.row("call", f"anonymous HTTP trigger, {where}", one["http trigger, anonymous"]["cpu_us"], "us", baseline=health, baseline_is="plain HTTP, same server")
            return results
        finally:
            server.close()

    def first_byte_ms(self, connection, request):
        begun = time.perf_counter()
        connection.sendall(request)
        answer = connection.recv(65536)
        took = (time.perf_counter() - begun) * 1000
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return took

    def cold(self):
        server = self.support.Mayfly("--keep-alive", "1")
        try:
            fc = server.fc()
            fc.create_service("bench")
            self.function(fc, "cv", CV)
            host, port = server.endpoint.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as connection:
                def timed():
                    return self.first_byte_ms(connection, fc_call((server.key_id, server.key_secret, ""), invocation("bench", "cv")))

                first = timed()
                warm = statistics.median(timed() for _ in range(50))
                cold = []
                for _ in range(10):
                    time.sleep(1.6)  # past the keep-alive: the instance is gone, the zygote stays
                    cold.append(timed())
            records = [r for r in server.cli_json("describe", "bench/cv")["recent"] if r["cold"]][1:]
            phases = {key: statistics.median(r[key] for r in records) for key in ("sandboxUs", "runtimeUs", "importUs", "initUs", "runUs")}
            self.row("cold", "cv2, new instance of a running zygote, to first byte", statistics.median(cold), "ms", goal=8, baseline=warm, baseline_is="warm call, same function")
            self.row("cold", "cv2, first call ever: makes the sandbox, imports cv2", first, "ms")
            return {"first_ever_ms": first, "cold_ms": cold, "warm_ms": warm, "cold_starts_seen": len(records), "median_phases_us": phases}
        finally:
            server.close()

    def put(self):
        server = self.support.Mayfly()
        try:
            server.bucket("bench").create_bucket()
            body = os.urandom(1024)
            requests = [oss_put(server, "bench", f"k/{i}", body) for i in range(64 * 1000)]
            self.load(server, 64, 1, requests)
            runs, baselines = [], []
            for _ in range(self.rounds):
                baselines.append(self.fsyncs_per_second(server.data))
                runs.append(self.load(server, 64, SECONDS, requests))
            result = measure.medians(runs)
            baseline = statistics.median(baselines)
            self.row("put", "1 KiB durable puts, 64 clients", result["per_second"], "/s", goal=5000, baseline=baseline, baseline_is="write + fdatasync, one writer", at_least=True)
            self.row("put", "CPU of a put", result["cpu_us"], "us")
            return {**result, "fdatasync_per_second": baseline}
        finally:
            server.close()

    def flow(self):
        """Executions of 20 rounds of pass and choice, started over 16 connections; timed until the last has ended."""
        server = self.support.Mayfly()
        try:
            steps = "".join(f"  - type: pass\n    name: p{i}\n  - type: choice\n    name: c{i}\n    choices:\n      - condition: $.n > 0\n        goto: p{i + 1}\n" for i in range(20))
            rpc(server, FNF, "CreateFlow", Name="bench", Description="bench", Type="FDL", RoleArn=f"acs:ram::{server.account}:role/x",
                Definition=f"version: v1\ntype: flow\nsteps:\n{steps}  - type: pass\n    name: p20\n")
            executions, steps_each, rates, costs, baselines = 2000, 41, [], [], []
            for number in range(self.rounds):
                baselines.append(self.fsyncs_per_second(server.data))
                names = [f"r{number}-{i}" for i in range(executions)]
                starts = [raw("POST", "/?" + rpc_query(server, FNF, "StartExecution", {"FlowName": "bench", "ExecutionName": name, "Input": '{"n":1}'}), {"Host": "127.0.0.1"}) for name in names]
                begun = time.monotonic()
                costs.append(self.load(server, 16, 0, starts)["cpu_us"])
                while rpc(server, FNF, "ListExecutions", FlowName="bench", Status="Running", Limit=1).get("Executions"):
                    time.sleep(0.002)
                rates.append(executions * steps_each / (time.monotonic() - begun))
                last = rpc(server, FNF, "DescribeExecution", FlowName="bench", ExecutionName=names[-1])
                assert last["Status"] == "Succeeded" and not rpc(server, FNF, "ListExecutions", FlowName="bench", Status="Failed", Limit=1).get("Executions"), last
            rate, baseline = statistics.median(rates), statistics.median(baselines)
            self.row("flow", "durable steps through the API, 16 connections", rate, "/s", goal=5000, baseline=baseline, baseline_is="write + fdatasync, one writer", at_least=True)
            self.row("flow", f"CPU of an execution of {steps_each} steps", statistics.median(costs), "us")
            result = {"steps_per_second": rates, "cpu_us_per_execution": costs, "fdatasync_per_second": baseline}
        finally:
            server.close()
        alone = statistics.median(each["items_per_second"] for each in self.micro("flows_bench", "PureSteps"))
        self.row("flow", "durable steps of the engine alone", alone, "/s", goal=5000, baseline=baseline, baseline_is="write + fdatasync, one writer", at_least=True)
        result["engine_steps_per_second"] = alone
        return result

    def idle(self):
        starts, memory = [], []
        for _ in range(max(3, self.rounds)):
            server = self.support.Mayfly()
            line = next(l for l in server.output().splitlines() if "ready in" in l)
            starts.append(float(line.split("ready in ")[1].split(" ")[0]))
            time.sleep(1)
            memory.append(rss_mb(server.process.pid))
            server.close()
        python = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(0.5)
        baseline = rss_mb(python.pid)
        python.kill()
        python.wait()
        self.row("idle", "resident memory after start", statistics.median(memory), "MB", goal=40, baseline=baseline, baseline_is="idle python3")
        self.row("idle", "start to ready, new data folder", statistics.median(starts), "ms", goal=100)
        return {"rss_mb": memory, "start_ms": starts, "python_rss_mb": baseline}


NAMES = ("http", "call", "cold", "put", "flow", "idle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], help="which; all when none is named")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--libraries", default="build/deps/python")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each number; the median counts")
    parser.add_argument("--json", help="also write the results to this file")
    options = parser.parse_args()
    bench = Bench(options)
    results = {}
    for name in options.name or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = getattr(bench, name)()
    for row in bench.rows:
        verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
        beside = f"{row['ratio']} x {row['baseline']} {row['baseline_is']}" if row["baseline"] else ""
        print(f"{row['bench']:5} {row['what']:80} {row['measured']:>10} {row['unit']:3} {'goal ' + str(row['goal']) if row['goal'] else '':13} {verdict:7} {beside}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"rows": bench.rows, "details": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
