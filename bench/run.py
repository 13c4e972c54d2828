#!/usr/bin/env python3
"""Measurements of a release build, each beside a baseline of the same run. `./dev bench [NAME] [--json FILE]`.

  http    plain HTTP against a raw epoll server
  call    warm Python call through the FC API: CPU of server and workers per request, beside plain HTTP health checks in the same run
  cold    Python cold start with cv2: first reply of a new instance, beside a warm call of the same function
  put     durable 1 KiB object puts, 64 clients, beside raw write + fdatasync on the same disk
  flow    durable flow steps, beside the same raw fdatasync rate
  idle    resident memory and start-up time, beside an idle python3

CPU time is the kernel's accounting of the whole process tree. The machines are shared: quote ratios.
"""
import argparse
import base64
import email.utils
import hashlib
import hmac
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))


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
    total = 0
    for each in tree(pid):
        try:
            for thread in os.listdir(f"/proc/{each}/task"):
                total += int(pathlib.Path(f"/proc/{each}/task/{thread}/schedstat").read_text().split()[0]) / 1000
        except OSError:
            continue
    return total


def rss_mb(pid):
    return next(int(line.split()[1]) / 1024 for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))


def raw(method, target, headers, body=b""):
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + f"Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def sign(secret, text, digest):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), digest).digest()).decode()


def fc_call(server, service, function, body=b"{}"):
    path = f"/2016-08-15/services/{service}/functions/{function}/invocations"
    date = email.utils.formatdate(usegmt=True)
    signature = sign(server.key_secret, f"POST\n\napplication/octet-stream\n{date}\n{path}", hashlib.sha256)
    return raw("POST", path, {"Host": "127.0.0.1", "Date": date, "Content-Type": "application/octet-stream", "Authorization": f"FC {server.key_id}:{signature}"}, body)


def oss_put(server, bucket, key, body):
    date = email.utils.formatdate(usegmt=True)
    signature = sign(server.key_secret, f"PUT\n\n\n{date}\n/{bucket}/{key}", hashlib.sha1)
    return raw("PUT", f"/{bucket}/{key}", {"Host": "127.0.0.1", "Date": date, "Authorization": f"OSS {server.key_id}:{signature}"}, body)


class Bench:
    def __init__(self, options):
        self.bin = pathlib.Path(options.build, "bin")
        os.environ["MAYFLY_BINARY"] = str(self.bin / "mayfly")
        os.environ["MAYFLY_TEST_LIBRARIES"] = str(pathlib.Path(options.libraries).resolve())
        import support
        self.support = support

    def load(self, server, connections, seconds, requests):
        with tempfile.NamedTemporaryFile() as file:
            for request in requests:
                file.write(b"%08d" % len(request) + request)
            file.flush()
            port = server.endpoint.rsplit(":", 1)[1]
            before = cpu_us(server.process.pid)
            out = subprocess.run([self.bin / "load", port, str(connections), str(seconds), file.name], check=True, capture_output=True, text=True).stdout
            result = json.loads(out)
            result["cpu_us_per_request"] = round((cpu_us(server.process.pid) - before) / max(1, result["requests"]), 2)
            return result

    def fsyncs_per_second(self, folder):
        """Appends of 1 KiB, each made durable: what the disk gives one writer."""
        with open(os.path.join(folder, "fsync.probe"), "wb", buffering=0) as file:
            count, end = 0, time.monotonic() + 2
            while time.monotonic() < end:
                file.write(b"x" * 1024)
                os.fdatasync(file.fileno())
                count += 1
        return count / 2

    def http(self):
        return json.loads(subprocess.run([sys.executable, HERE / "http.py", self.bin], check=True, capture_output=True, text=True).stdout)

    def call(self):
        server = self.support.Mayfly()
        try:
            fc = server.fc()
            fc.create_service("bench")
            fc.create_function("bench", "echo", "python3", "index.handler", timeout=10, memorySize=128,
                               codeZipFile=self.support.zip_of({"index.py": "def handler(event, context):\n    return event\n"}))
            fc.invoke_function("bench", "echo")
            cases = {}
            for connections in (1, 16, 64):
                self.load(server, connections, 1, [fc_call(server, "bench", "echo")])
                plain = self.load(server, connections, 3, [raw("GET", "/mayfly/v1/health", {"Host": "127.0.0.1"})])
                cases[connections] = {**self.load(server, connections, 3, [fc_call(server, "bench", "echo")]), "baseline_health_cpu_us": plain["cpu_us_per_request"]}
                cases[connections]["ratio"] = round(cases[connections]["cpu_us_per_request"] / plain["cpu_us_per_request"], 2)
            return {"goal_cpu_us": 25, "connections": cases}
        finally:
            server.close()

    def cold(self):
        server = self.support.Mayfly("--keep-alive", "1")
        try:
            fc = server.fc()
            fc.create_service("bench")
            code = "import cv2, numpy\ndef handler(event, context):\n    return cv2.__version__\n"
            fc.create_function("bench", "cv", "python3", "index.handler", timeout=60, memorySize=512, codeZipFile=self.support.zip_of({"index.py": code}))

            def timed():
                begun = time.monotonic()
                fc.invoke_function("bench", "cv")
                return (time.monotonic() - begun) * 1000

            first = timed()
            warm = [timed() for _ in range(20)]
            cold = []
            for _ in range(8):
                time.sleep(2.5)  # past the keep-alive: the instance is gone, the zygote stays
                cold.append(timed())
            recent = server.cli_json("describe", "bench/cv")["recent"]
            phases = [{k: r[k] for k in ("startUs", "initUs", "runUs")} for r in recent if r["cold"]][1:]
            return {"goal_ms": 8, "first_ever_ms": round(first, 1), "cold_ms": round(statistics.median(cold), 2), "baseline_warm_ms": round(statistics.median(warm), 2),
                    "start_and_init_us_median": statistics.median([p["startUs"] + p["initUs"] for p in phases]) if phases else None, "phases": phases}
        finally:
            server.close()

    def put(self):
        server = self.support.Mayfly()
        try:
            server.bucket("bench").create_bucket()
            body = os.urandom(1024)
            self.load(server, 64, 1, [oss_put(server, "bench", f"warm/{i}", body) for i in range(64)])
            result = self.load(server, 64, 5, [oss_put(server, "bench", f"k/{i}", body) for i in range(64 * 1000)])
            baseline = self.fsyncs_per_second(server.data)
            return {"goal_per_second": 5000, **result, "baseline_fdatasync_per_second": baseline, "ratio": round(result["per_second"] / baseline, 2)}
        finally:
            server.close()

    def flow(self):
        """A hundred loops of pass and choice per execution; counted in steps entered."""
        server = self.support.Mayfly()
        try:
            from aliyunsdkfnf.request.v20190315 import CreateFlowRequest, DescribeExecutionRequest, StartExecutionRequest
            steps = "".join(f"  - type: pass\n    name: p{i}\n  - type: choice\n    name: c{i}\n    choices:\n      - condition: $.n > 0\n        goto: p{i + 1}\n" for i in range(20))
            server.fnf(CreateFlowRequest.CreateFlowRequest, Name="bench", Description="", Type="FDL", RoleArn="x",
                       Definition=f"version: v1\ntype: flow\nsteps:\n{steps}  - type: pass\n    name: p20\n")
            executions, per_execution = 400, 41
            begun = time.monotonic()
            for number in range(executions):
                server.fnf(StartExecutionRequest.StartExecutionRequest, FlowName="bench", ExecutionName=f"e{number}", Input='{"n":1}')
            for number in range(executions):
                ended = server.fnf(DescribeExecutionRequest.DescribeExecutionRequest, FlowName="bench", ExecutionName=f"e{number}", WaitTimeSeconds=20)
                assert ended["Status"] == "Succeeded", ended
            seconds = time.monotonic() - begun
            baseline = self.fsyncs_per_second(server.data)
            return {"goal_steps_per_second": 5000, "through_one_python_client": round(executions * per_execution / seconds), "baseline_fdatasync_per_second": baseline,
                    "note": "one client starting executions one by one; the engine alone: build/release/bin/flows_bench"}
        finally:
            server.close()

    def idle(self):
        starts, memory = [], []
        for _ in range(3):
            server = self.support.Mayfly()
            line = next(l for l in server.output().splitlines() if "ready in" in l)
            starts.append(float(line.split("ready in ")[1].split(" ")[0]))
            time.sleep(1)
            memory.append(rss_mb(server.process.pid))
            server.close()
        python = subprocess.Popen(["/usr/bin/python3", "-c", "import time; time.sleep(60)"])
        time.sleep(0.5)
        baseline = rss_mb(python.pid)
        python.kill()
        python.wait()
        return {"goal_rss_mb": 40, "rss_mb": round(statistics.median(memory), 1), "baseline_python_rss_mb": round(baseline, 1), "goal_start_ms": 100, "start_ms": statistics.median(starts)}


NAMES = ("http", "call", "cold", "put", "flow", "idle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], help="which; all when none is named")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--libraries", default="build/deps/python")
    parser.add_argument("--json", help="also write the results to this file")
    options = parser.parse_args()
    bench = Bench(options)
    results = {}
    for name in options.name or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = getattr(bench, name)()
        print(json.dumps({name: results[name]}, indent=2), flush=True)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
