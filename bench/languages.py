"""Mayfly's own rows: the benches' functions (functions/) in every language this build and this machine have, and how they are called."""
import base64
import email.utils
import hashlib
import hmac
import io
import json
import pathlib
import shutil
import subprocess
import zipfile

import measure
import peers

FUNCTIONS = pathlib.Path(__file__).resolve().parent / "functions"
TITLES = {"cpp": "C++", "python": "Python", "node": "Node", "java": "Java"}
RUNTIMES = {"cpp": "cpp", "python": "python3", "node": "nodejs20", "java": "java17"}


class Made:
    """A way to call one of Mayfly's functions, created and ready."""

    def __init__(self, what, requests, goals=None):
        self.what, self.requests, self.goals = what, requests, goals


def missing(bench, language):
    """Why a language cannot be measured here; None when it can."""
    runtimes = FUNCTIONS.parent.parent / "runtimes"
    if language == "cpp":
        return None if (bench.bin / "bench_functions").exists() else "bench_functions is not built"
    if language == "python":
        return None if shutil.which("python3") else "no python3 on this machine"
    if language == "node":
        if not (runtimes / "nodejs" / "main.js").exists():
            return "this version of Mayfly has no Node runtime"
        return None if shutil.which("node") else "no node on this machine (Debian: nodejs)"
    if not any((bench.bin.parent / folder / "mayfly.jar").exists() for folder in ("runtimes/java", "bin")) and not (runtimes / "java" / "mayfly.jar").exists():
        return "this build of Mayfly has no Java runtime"
    return None if shutil.which("javac") else "no javac on this machine (Debian: openjdk-17-jdk-headless)"


def zip_of(bench, language):
    """The zip of every function of a language, as a file of the scratch folder."""
    bench.scratch.mkdir(parents=True, exist_ok=True)
    target = bench.scratch / f"{language}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        def add(name, source, mode=0o644):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, pathlib.Path(source).read_bytes(), zipfile.ZIP_DEFLATED)
        if language == "cpp":
            small = bench.scratch / "functions"
            shutil.copy(bench.bin / "bench_functions", small)
            subprocess.run(["strip", small], check=False)  # what a user would deploy; whole where there is no strip
            add("functions", small, 0o755)
        elif language == "python":
            add("index.py", FUNCTIONS / "index.py")
            add("with_cv2.py", FUNCTIONS / "with_cv2.py")
        elif language == "node":
            add("index.js", FUNCTIONS / "index.js")
    return str(target)


def handler_of(language, function):
    return f"functions.{function}" if language == "cpp" else function if "." in function else f"index.{function}"


def create(bench, server, language, function, name=None, timeout=60, memory=256, **more):
    """Registers a function and returns its name."""
    name = name or function
    server.client.create_function("bench", name, RUNTIMES[language], handler_of(language, function), timeout=timeout, memorySize=memory, codeZipFile=zip_of(bench, language), **more)
    return name


def open_to_all(server, name):
    server.client.create_trigger("bench", name, "http", "http", {"authType": "anonymous", "methods": ["GET", "POST"]}, "", "")


def anonymous_call(name, body=peers.BODY):
    return measure.raw("POST", f"/2016-08-15/proxy/bench/{name}/", {"Host": "127.0.0.1", "Content-Type": "application/json"}, body)


def signed_call(server, name, body=peers.BODY):
    """A POST to the FC API; the signature is part of what such a call costs (auth_bench measures it alone)."""
    path = f"/2016-08-15/services/bench/functions/{name}/invocations"
    date = email.utils.formatdate(usegmt=True)
    text = f"POST\n\napplication/octet-stream\n{date}\n{path}"
    signature = base64.b64encode(hmac.new(server.key_secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return measure.raw("POST", path, {"Host": "127.0.0.1", "Date": date, "Content-Type": "application/octet-stream", "Authorization": f"FC {server.key_id}:{signature}"}, body)


def call_targets(bench, server):
    """Rows of warm calls: events over the FC API, and anonymous HTTP triggers, one call at a time in an instance and 16."""
    yield Made("Mayfly: health, no function", [measure.raw("GET", "/mayfly/v1/health", {"Host": "127.0.0.1"})])
    goals = {"cpp": {16: 10}, "python": {16: 15}, "node": {16: 18}}
    for language in TITLES:
        if why := missing(bench, language):
            bench.skip("calls", f"Mayfly: {TITLES[language]}", why)
            continue
        title = f"Mayfly: {TITLES[language]} JSON"
        yield Made(f"{title}, event, FC API (signed)", [signed_call(server, create(bench, server, language, "hello", name=f"{language}-hello"))], goals[language] if language == "python" else None)
        page = create(bench, server, language, "page", name=f"{language}-page")
        open_to_all(server, page)
        yield Made(f"{title}, anonymous HTTP trigger", [anonymous_call(page)], goals.get(language) if language == "node" else None)
        if language == "python":
            continue  # its instances take one call at a time
        many = create(bench, server, language, "quick_page" if language == "cpp" else "page", name=f"{language}-many", instanceConcurrency=16)
        open_to_all(server, many)
        yield Made(f"{title}, anonymous HTTP trigger, instanceConcurrency 16", [anonymous_call(many)], goals[language] if language == "cpp" else None)
