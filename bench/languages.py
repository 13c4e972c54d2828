"""Mayfly's own rows: the benches' functions (functions/) in every language this build and this machine have, and how they are called."""
import base64
import email.utils
import hashlib
import hmac
import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import measure

FUNCTIONS = pathlib.Path(__file__).resolve().parent / "functions"
RUNTIMES_FOLDER = FUNCTIONS.parent.parent / "runtimes"
TITLES = {"cpp": "C++", "python": "Python", "node": "Node", "java": "Java", "php": "PHP"}
RUNTIMES = {"cpp": "cpp", "python": "python3", "node": "nodejs20", "java": "java17", "php": "php8.2"}
HANDLERS = {"cpp": "functions.{}", "python": "index.{}", "node": "index.{}", "java": "bench.{}::handleRequest", "php": "index.{}"}
NAMES = {"java": {"hello": "Hello", "echo": "Echo"}, "php": {"echo": "echo_back"}}  # of functions that are called otherwise there
BODY = b'{"name":"mayfly"}'
# The least that answers a call in a language: for bench/processes.cc.
PLAIN_PROCESSES = {
    "cpp": [],
    "python": ["python3", "-c", "import json, os\nwhile event := os.read(0, 4096):\n    os.write(1, json.dumps({'hello': json.loads(event)['name']}).encode())"],
    "node": ["node", "-e", "process.stdin.on('data', (event) => process.stdout.write(JSON.stringify({ hello: JSON.parse(event).name })))"],
}
GOALS_US = {"cpp": 10, "python": 15, "node": 18}  # CPU of a call at 16 clients


class Made:
    """A way to call one of Mayfly's functions, created and ready."""

    def __init__(self, what, requests, goals=None):
        self.what, self.requests, self.goals = what, requests, goals


def runtimes_built(binary):
    """What a build makes of runtimes/: beside the folder of the binaries."""
    return pathlib.Path(binary).resolve().parent.parent / "runtimes"


def missing(binaries, language):
    """Why a language cannot be measured with the programs of a folder; None when it can."""
    def needs(program, package):
        return None if shutil.which(program) else f"no {program} on this machine (Debian: {package})"

    if language == "cpp":
        return None if (binaries / "bench_functions").exists() else "bench_functions is not built"
    if language == "python":
        return needs("python3", "python3")
    if language == "java":
        built = (runtimes_built(binaries / "mayfly") / "java" / "mayfly.jar").exists()
        return needs("javac", "openjdk-17-jdk-headless") if built else "this build of Mayfly has no Java runtime"
    folder, main, program = {"node": ("nodejs", "main.js", "node"), "php": ("php", "main.php", "php")}[language]
    return needs(program, folder) if (RUNTIMES_FOLDER / folder / main).exists() else f"this version of Mayfly has no runtime for {TITLES[language]}"


def compiled_java(binaries, scratch):
    folder = scratch / "java"
    sources = sorted(str(path) for path in FUNCTIONS.glob("*.java"))
    subprocess.run(["javac", "--release", "11", "-cp", runtimes_built(binaries / "mayfly") / "java" / "contract.jar", "-d", folder, *sources], check=True, stdout=sys.stderr)
    return folder


def zip_of(binaries, scratch, language):
    """The zip of every function of a language, made in the scratch folder."""
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / f"{language}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        if language == "cpp":
            small = scratch / "functions"
            shutil.copy(binaries / "bench_functions", small)
            if shutil.which("strip"):
                subprocess.run(["strip", small], check=True)  # what a user would deploy
            entry = zipfile.ZipInfo("functions")
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, small.read_bytes(), zipfile.ZIP_DEFLATED)
        elif language == "java":
            folder = compiled_java(binaries, scratch)
            for path in sorted(folder.rglob("*.class")):
                archive.write(path, path.relative_to(folder))
        else:
            for path in sorted(FUNCTIONS.glob({"python": "*.py", "node": "*.js", "php": "*.php"}[language])):
                archive.write(path, path.name)
    return str(target)


def handler(language, function):
    return HANDLERS[language].format(NAMES.get(language, {}).get(function, function)) if "." not in function else function


def create(bench, server, language, function, name=None, timeout=60, memory=256, **more):
    """Registers a function and returns its name; `function` may be a whole handler."""
    name = name or function
    server.client.create_function("bench", name, RUNTIMES[language], handler(language, function), timeout=timeout, memorySize=memory,
                                  codeZipFile=zip_of(bench.bin, bench.scratch, language), **more)
    return name


def open_to_all(server, name):
    server.client.create_trigger("bench", name, "http", "http", {"authType": "anonymous", "methods": ["GET", "POST"]}, "", "")


def anonymous_call(name, body=BODY):
    return measure.raw("POST", f"/2016-08-15/proxy/bench/{name}/", {"Host": "127.0.0.1", "Content-Type": "application/json"}, body)


def signed_call(server, name, body=BODY, service="bench"):
    """A POST to the FC API; the signature is part of what such a call costs (auth_bench measures it alone)."""
    path = f"/2016-08-15/services/{service}/functions/{name}/invocations"
    date = email.utils.formatdate(usegmt=True)
    text = f"POST\n\napplication/octet-stream\n{date}\n{path}"
    signature = base64.b64encode(hmac.new(server.key_secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    return measure.raw("POST", path, {"Host": "127.0.0.1", "Date": date, "Content-Type": "application/octet-stream", "Authorization": f"FC {server.key_id}:{signature}"}, body)


def call_targets(bench, server):
    """Rows of warm calls: events over the FC API, and anonymous HTTP triggers, one call at a time in an instance and 16."""
    yield Made("Mayfly: health, no function", [measure.raw("GET", "/mayfly/v1/health", {"Host": "127.0.0.1"})])
    for language, title in TITLES.items():
        if why := missing(bench.bin, language):
            bench.skip("calls", f"Mayfly: {title}", why)
            continue
        goals = {16: GOALS_US[language]} if language in GOALS_US else None
        name = f"Mayfly: {title} JSON"
        yield Made(f"{name}, event, FC API (signed)", [signed_call(server, create(bench, server, language, "hello", name=f"{language}-hello"))], goals if language == "python" else None)
        if language in ("java", "php"):
            continue
        page = create(bench, server, language, "page", name=f"{language}-page")
        open_to_all(server, page)
        yield Made(f"{name}, anonymous HTTP trigger", [anonymous_call(page)])
        if language == "python":
            continue  # its instances take one call at a time
        many = create(bench, server, language, "quick_page" if language == "cpp" else "page", name=f"{language}-many", instanceConcurrency=16)
        open_to_all(server, many)
        yield Made(f"{name}, anonymous HTTP trigger, instanceConcurrency 16", [anonymous_call(many)], goals)
