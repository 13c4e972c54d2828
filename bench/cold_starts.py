"""Cold starts: of one instance, seen at the socket, and of many at once."""
import json
import socket
import statistics
import subprocess
import time

import languages
import measure

COPIES = 20       # functions of one code, each cold once a round
ROUNDS = 4        # the first round makes zygotes and fills caches, and is told apart
KEEP_ALIVE = 1    # seconds
CASES = (("python", "hello", "Python, standard library", 3), ("python", "with_cv2.hello", "Python with cv2 and numpy", 5), ("cpp", "hello", "C++", 3), ("node", "hello", "Node", 10),
         ("java", "hello", "Java", 40), ("php", "hello", "PHP", None))
AT_ONCE = 100      # times 128 MB: what a machine of 16 GB lets be promised
NAP_MS = 1500     # longer than it takes to start them all, so that none serves two
STARTS_GOAL = 500


def exchange(connection, request):
    """Milliseconds to the first byte of the answer."""
    begun = time.perf_counter()
    connection.sendall(request)
    answer = connection.recv(65536)
    took = (time.perf_counter() - begun) * 1000
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer.decode(errors="replace")[:600])
    return took


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def phases_of(server, name):
    """Medians of what the server recorded of a function's cold starts but the first, microseconds."""
    records = [record for record in server.cli_json("describe", f"bench/{name}")["recent"] if record["cold"]][:-1]  # newest first
    keys = [key for key in ("queuedUs", "sandboxUs", "runtimeUs", "importUs", "initUs", "startUs", "runUs") if records and key in records[0]]
    return {key: statistics.median(record[key] for record in records) for key in keys}


def cold(bench):
    results = {}
    for language, function, title, goal in CASES:
        if why := languages.missing(bench.bin, language):
            bench.skip("cold", title, why)
            continue
        server = bench.mayfly("--keep-alive", str(KEEP_ALIVE), pinned=False)
        try:
            names = [languages.create(bench, server, language, function, name=f"cold{i}", memory=512) for i in range(COPIES)]
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                first = [exchange(connection, languages.signed_call(server, name)) for name in names]
                warm = [exchange(connection, languages.signed_call(server, names[-1])) for _ in range(50)]
                seen = []
                for _ in range(ROUNDS):
                    time.sleep(KEEP_ALIVE + 0.7)  # the instances are gone, what they were made from stays
                    seen += [exchange(connection, languages.signed_call(server, name)) for name in names]
            phases = phases_of(server, names[0])
            results[title] = {"first_ms": first, "cold_ms": seen, "warm_ms": statistics.median(warm), "phases_us": phases}
            bench.row("cold", f"{title}: new instance, first byte, p50", statistics.median(seen), "ms", goal=goal, p99_ms=percentile(seen, 0.99), warm_ms=round(statistics.median(warm), 3), **phases)
            bench.row("cold", f"{title}: first call of a function, p50", statistics.median(first), "ms", p99_ms=percentile(first, 0.99))
        except RuntimeError as error:
            bench.skip("cold", title, error)
        finally:
            server.close()
    return results


def starts(bench):
    """AT_ONCE calls of a function whose instances take one call, all sent at once: how soon all of their handlers run."""
    results = {}
    for language in ("cpp", "python", "node"):
        title = languages.TITLES[language]
        if why := languages.missing(bench.bin, language):
            bench.skip("starts", title, why)
            continue
        server = bench.mayfly("--keep-alive", "1", "--max-instances", str(AT_ONCE + 10), pinned=False)
        try:
            name = languages.create(bench, server, language, "nap", timeout=60, memory=128)
            request = languages.signed_call(server, name, json.dumps({"ms": NAP_MS}).encode())
            rates = []
            for number in range(bench.rounds + 1):
                result = measure.load(bench.bin / "load", server.port, AT_ONCE, 0, [request] * AT_ONCE)
                if number > 0:  # the first makes what the others are forked from
                    rates.append(AT_ONCE / (result["seconds"] - NAP_MS / 1000))
                time.sleep(2)  # past the keep-alive
            results[title] = rates
            bench.row("starts", f"{title}: instances started a second, {AT_ONCE} at once", statistics.median(rates), "/s", goal=STARTS_GOAL, at_least=True)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            bench.skip("starts", title, error)
        finally:
            server.close()
    return results
