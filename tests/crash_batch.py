#!/usr/bin/env python3
"""The batch survives kill -9: photos go through the example's flow while the server is killed at random moments and started again.

MAYFLY_CRASH_PHOTOS and MAYFLY_CRASH_KILLS set the size (default 40 and 5); MAYFLY_CRASH_SEED repeats a run. At the end the flow has
succeeded, every photo is in processed/ exactly once with its bytes, each has a marked copy, the root is empty, no execution is lost.
"""
import json
import os
import pathlib
import random
import shutil
import tempfile
import time
import unittest

import support

PHOTOS = int(os.environ.get("MAYFLY_CRASH_PHOTOS", "40"))
KILLS = int(os.environ.get("MAYFLY_CRASH_KILLS", "5"))
SEED = int(os.environ.get("MAYFLY_CRASH_SEED", str(random.randrange(1 << 30))))
BUCKET, FLOW, EXECUTION = "photos", "face-flow", "batch"
END_TIMEOUT_S = 600


def small_photos():
    """Real photos, small so that the batch is about the platform and not about OpenCV."""
    import cv2
    for path in sorted(pathlib.Path(support.PHOTOS).glob("sample*.jpg")):
        image = cv2.imread(str(path))
        scale = 320 / max(image.shape[:2])
        yield cv2.imencode(".jpg", cv2.resize(image, None, fx=scale, fy=scale))[1].tobytes()


class CrashBatch(unittest.TestCase):
    def deploy(self, server):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(support.SOURCE / "examples/face-batch", folder, dirs_exist_ok=True)
            pathlib.Path(folder, "template.override.yml").write_text(
                "Resources:\n  face-batch:\n    faceTimer:\n      Events:\n        everyMinute:\n          Properties:\n            Enable: false\n")
            server.cli("deploy", folder, "-y")

    def describe(self, server):
        return server.cli_json("flow", "show", FLOW, EXECUTION)

    def test_every_photo_comes_through_exactly_once(self):
        print(f"seed {SEED}, {PHOTOS} photos, {KILLS} kills", flush=True)
        rng = random.Random(SEED)
        server = support.Mayfly()
        self.addCleanup(server.close)
        self.deploy(server)
        bucket = server.bucket(BUCKET)
        bucket.create_bucket()
        pictures = list(small_photos())
        sent = {f"{n:04}.jpg": pictures[n % len(pictures)] for n in range(PHOTOS)}
        for key, body in sent.items():
            bucket.put_object(key, body)
        server.cli("flow", "start", FLOW, json.dumps({"bucket": BUCKET, "prefix": ""}), "--name", EXECUTION)

        kills = 0
        deadline = time.monotonic() + END_TIMEOUT_S
        while kills < KILLS:
            time.sleep(rng.uniform(0.05, 1.5))
            server.kill()
            kills += 1
            server.start()
            if self.describe(server)["Status"] != "Running":
                break
        execution = self.describe(server)
        while execution["Status"] == "Running" and time.monotonic() < deadline:
            time.sleep(0.3)
            execution = self.describe(server)
        print(f"{kills} kills, then {execution['Status']}", flush=True)
        self.assertEqual(execution["Status"], "Succeeded", execution)

        bucket = server.bucket(BUCKET)
        names = [item.key for item in __import__("oss2").ObjectIterator(bucket)]
        self.assertEqual([name for name in names if "/" not in name], [], "photos left in the root")
        self.assertEqual(sorted(name.removeprefix("processed/") for name in names if name.startswith("processed/")), sorted(sent))
        self.assertEqual(sorted(name.removeprefix("face-detection/") for name in names if name.startswith("face-detection/")), sorted(sent))
        for key, body in sent.items():
            self.assertEqual(bucket.get_object("processed/" + key).read(), body)
        self.assertEqual([e["Name"] for e in server.cli_json("flow", "ls", FLOW)], [EXECUTION])
        events = server.cli_json("flow", "history", FLOW, EXECUTION)
        self.assertEqual([e["EventId"] for e in events], list(range(1, len(events) + 1)), "history has a gap or a double")


if __name__ == "__main__":
    support.main()
