#!/usr/bin/env python3
"""Every fuzz target for a few seconds, two at a time. `./dev fuzz` runs them longer."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SECONDS = int(os.environ.get("MAYFLY_FUZZ_SECONDS", "5"))
FOLDER = pathlib.Path(sys.argv[1])


def run(target):
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch, "corpus")
        corpus.mkdir()
        result = subprocess.run([target, f"-max_total_time={SECONDS}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
                                 f"-artifact_prefix={corpus}/", corpus], env={**os.environ, "TMPDIR": scratch}, capture_output=True, text=True,
                                timeout=SECONDS + 120)
    executed = re.search(r"number_of_executed_units: (\d+)", result.stderr)
    return target.name, result.returncode, int(executed.group(1)) if executed else 0, result.stderr[-3000:]


def main():
    targets = sorted(FOLDER.glob("*_fuzz"))
    failed = not targets
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, code, executed, log in pool.map(run, targets):
            print(f"{name}: {executed} inputs" + ("" if code == 0 else f", FAILED ({code})\n{log}"))
            failed = failed or code != 0 or executed == 0
    print(f"{len(targets)} targets")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
