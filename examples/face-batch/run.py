#!/usr/bin/env python3
"""The whole job on sample photos: starts Mayfly on loopback, deploys this folder, uploads, waits for the timer and its flow, reports.

    run.py --binary MAYFLY --libraries FOLDER --photos FOLDER [--once] [--port N]

Without --once the server goes on until Ctrl-C; with it the last line is JSON
{"photos", "annotated", "faces", "ignored", "seconds"} and the exit status is 0 only if all went right.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUCKET, FLOW = "photos", "face-flow"
START_TIMEOUT_S, FLOW_TIMEOUT_S = 60, 120
TICK_IN_S = 3  # from the deployment to the timer's first tick
BAD = {"notes.jpg": b"This is a text file that somebody named like a photo.\n", "empty.jpg": b""}


class Failed(Exception):
    pass


class Job:
    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-run-"))
        self.data = self.folder / "data"
        self.server = None
        self.started = time.monotonic()

    def say(self, text, end="\n"):
        print(text, end=end, flush=True)

    def progress(self, text):
        if sys.stdout.isatty():
            print(f"\r\033[K{text}", end="", flush=True)

    def mayfly(self, *arguments):
        result = subprocess.run([self.options.binary, "--json", "--data-dir", str(self.data), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise Failed(f"mayfly {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
        return json.loads(result.stdout) if result.stdout.strip() else None

    def start(self):
        command = [self.options.binary, "up", "--data-dir", str(self.data), "--port", str(self.options.port), "--tls-port", "0", "--libraries", self.options.libraries]
        self.log = open(self.folder / "server.log", "wb")
        # A session of its own: Ctrl-C reaches this script only, which then stops the server in order.
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        info, deadline = self.data / "server.json", time.monotonic() + START_TIMEOUT_S
        while not info.exists():
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise Failed("Mayfly did not start:\n" + (self.folder / "server.log").read_text(errors="replace")[-3000:])
            time.sleep(0.02)
        self.info = json.loads(info.read_text())
        self.say(f"Mayfly answers at {self.info['endpoint']} after {time.monotonic() - self.started:.2f} s")

    def upload(self):
        folder = self.folder / "photos"
        shutil.copytree(self.options.photos, folder, ignore=shutil.ignore_patterns("unpack"))
        for name, content in BAD.items():
            (folder / name).write_bytes(content)
        self.photos = sorted(path.name for path in folder.iterdir())
        self.mayfly("object", "mb", BUCKET)
        self.mayfly("object", "cp", "-r", str(folder), f"mayfly://{BUCKET}/")
        self.say(f"{len(self.photos)} files uploaded to bucket {BUCKET}, {len(BAD)} of them no photos")

    def deploy(self):
        """This folder as it stands, but for the timer: it ticks every minute at a second that is near."""
        copy = self.folder / "face-batch"
        shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("run.py", "__pycache__"))
        second = int(time.time() + TICK_IN_S) % 60
        (copy / "template.override.yml").write_text(
            "Resources:\n  face-batch:\n    faceTimer:\n      Events:\n        everyMinute:\n          Properties:\n"
            f"            CronExpression: '{second} * * * * *'\n")
        self.mayfly("deploy", str(copy), "-y")
        self.say("deployed: three functions, a flow, and a timer that starts it")

    def keys(self, prefix):
        return {item["key"] if "key" in item else item["Key"] for item in self.mayfly("object", "ls", f"mayfly://{BUCKET}/{prefix}")["objects"]}

    def wait(self):
        self.say("waiting for the timer to start the flow ...")
        deadline = time.monotonic() + FLOW_TIMEOUT_S
        expected = len(self.photos) - len(BAD)
        while time.monotonic() < deadline:
            executions = self.mayfly("flow", "ls", FLOW)
            if executions:
                done = len(self.keys("processed/"))
                self.progress(f"flow {executions[-1]['Status'].lower()}: {done} of {expected} photos, {time.monotonic() - self.started:.0f} s")
                first = min(executions, key=lambda e: e["StartedTime"])
                if first["Status"] not in ("Running", "Starting"):
                    self.progress("")
                    if first["Status"] != "Succeeded":
                        raise Failed(f"the flow ended {first['Status']}: {self.mayfly('flow', 'show', FLOW, first['Name'])}")
                    return first["Name"]
            time.sleep(0.2)
        raise Failed(f"the flow did not end within {FLOW_TIMEOUT_S} s")

    def faces(self, execution):
        """Per photo, from the flow's history: what each detection returned."""
        found = {}
        for event in self.mayfly("flow", "history", FLOW, execution):
            if event["Type"] == "TaskSucceeded":
                output = json.loads(json.loads(event["EventDetail"]).get("output") or "{}") if isinstance(json.loads(event["EventDetail"]).get("output"), str) \
                    else json.loads(event["EventDetail"]).get("output", {})
                if "faces" in output:
                    found[output["key"]] = output["faces"]
        return found

    def report(self, execution):
        found = self.faces(execution)
        annotated = {key.removeprefix("face-detection/") for key in self.keys("face-detection/")}
        processed = {key.removeprefix("processed/") for key in self.keys("processed/")}
        left = [name for name in self.photos if name not in processed]
        width = max(map(len, self.photos))
        self.say("")
        for name in self.photos:
            count = found.get(name)
            self.say(f"  {name:<{width}}  " + ("no picture, left where it was" if count is None else f"{count} face{'' if count == 1 else 's'}"))
        summary = {"photos": len(self.photos), "annotated": len(annotated), "faces": sum(found.values()), "ignored": len(left),
                   "seconds": round(time.monotonic() - self.started, 2)}
        self.say(f"\n{summary['faces']} faces on {summary['annotated']} photos in {summary['seconds']} s; {summary['ignored']} files ignored")
        good = set(self.photos) - set(BAD)
        if annotated != good or processed != good or set(left) != set(BAD) or set(found) != good or summary["faces"] < 1:
            raise Failed(f"not as it should be: annotated {sorted(annotated)}, processed {sorted(processed)}, left {sorted(left)}, faces {found}")
        return summary

    def tell_more(self):
        binary = f"{self.options.binary} --data-dir {self.data}"
        self.say(f"""
Marked copies     {binary} object cp -r mayfly://{BUCKET}/face-detection/ ./faces
What ran          {binary} ls
Why one failed    {binary} describe face-batch/faceDetector
Logs              {binary} logs -f
The flow          {binary} flow ls {FLOW}
Another photo     {binary} object cp PHOTO mayfly://{BUCKET}/    (the timer looks every minute)
Metrics           {self.info['endpoint']}/mayfly/v1/metrics

Ctrl-C stops Mayfly and removes {self.folder}""")

    def stop(self):
        if self.server is not None and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self):
        try:
            self.start()
            self.upload()
            self.deploy()
            summary = self.report(self.wait())
            if self.options.once:
                self.stop()
                self.say(json.dumps(summary))
                return 0
            self.tell_more()
            self.server.wait()
            raise Failed("Mayfly ended by itself")
        except KeyboardInterrupt:
            self.say("\nstopping")
            return 0
        except Failed as failure:
            print(f"\n{failure}", file=sys.stderr)
            return 1
        finally:
            self.stop()


def interrupted(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=os.path.abspath)
    parser.add_argument("--libraries", required=True, type=os.path.abspath)
    parser.add_argument("--photos", required=True, type=os.path.abspath)
    parser.add_argument("--once", action="store_true", help="stop after the job and print one JSON line last")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    signal.signal(signal.SIGTERM, interrupted)
    sys.exit(Job(parser.parse_args()).run())
