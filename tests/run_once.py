#!/usr/bin/env python3
"""What `./dev run --once` does: the example on the sample photos, its last line, its exit status, and that nothing is left behind."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import support

RUN = [sys.executable, str(support.SOURCE / "examples/face-batch/run.py"), "--binary", support.BINARY, "--libraries", support.LIBRARIES, "--photos", support.PHOTOS]


def processes():
    """Command lines that name our binary."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if command.startswith(support.BINARY) and "mayfly-run-" in command:
                found.append(command)
    return found


class RunOnce(unittest.TestCase):
    def test_the_job_ends_with_its_summary(self):
        result = subprocess.run([*RUN, "--once"], capture_output=True, text=True, timeout=300)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        summary = json.loads(result.stdout.splitlines()[-1])
        print(summary)
        self.assertEqual(set(summary), {"photos", "annotated", "faces", "ignored", "seconds"})
        self.assertEqual((summary["photos"], summary["annotated"], summary["ignored"]), (10, 8, 2))
        self.assertGreaterEqual(summary["faces"], 6)
        self.assertEqual(processes(), [])

    def test_ctrl_c_stops_it_cleanly(self):
        process = subprocess.Popen(RUN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 0, rest)
        support.wait_until(lambda: not processes(), 10, "every process to be gone")


if __name__ == "__main__":
    support.main()
