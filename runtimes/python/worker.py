"""One instance of a Python function: shuts itself in, imports the handler, runs the initializer, then serves calls one after another. The
contract with the handler is specs aliyun-fc.md 5.1, 5.2, 5.7 and 5.8."""
import glob
import importlib
import json
import logging
import os
import site
import socket
import sys
import time
import traceback
import types

import confine
import frames
import rehearse
import wsgi
from context import Context, Credentials, FunctionAbout, ServiceAbout, current

FRAMES_FD = 3         # in a worker; in the zygote it was the control socket
CONFIGURATION_FD = 4  # only across an exec, see _exec_if_libraries_are_shipped
PYTHON = sys.executable
SHORT_CALL_US, LONG_CALL_US = 200, 1000  # see Place
CHUNK_BYTES = 1 << 20  # of a streamed piece in one frame
OWN_MODULES = ("confine", "frames", "wsgi", "context", "worker", "zygote", "rehearse")


def tenant_folders(configuration):
    """Where a function's own modules may be, first to last: its code, what `fun` installed beside it, its PYTHONUSERBASE and PYTHONPATH."""
    code = configuration["code"]
    environment = configuration["environment"]
    folders = [code]
    for base in (f"{code}/.fun/python", environment.get("PYTHONUSERBASE")):
        if base:
            folders += sorted(glob.glob(f"{base}/lib/python3*/site-packages"), reverse=True)
    folders += [folder for folder in environment.get("PYTHONPATH", "").split(":") if folder]
    return list(dict.fromkeys(folders))


def prepare(configuration):
    """What every worker needs and no tenant's code is needed for, done once before the forks."""
    own = os.path.dirname(os.path.abspath(__file__))
    # The machine's own packages, of whatever versions, must neither hide the platform's libraries nor stand in for what is missing.
    standard = [folder for folder in sys.path if folder and folder != own and not folder.endswith("-packages")]
    configuration["path"] = list(dict.fromkeys(tenant_folders(configuration) + standard + [configuration["libraries"]]))
    site.setquit()  # exit() and quit(), which -S leaves out
    handler = _ToStdout()
    handler.setFormatter(_Formatter("%(asctime)s %(request_id)s [%(levelname)s] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def run_forked(configuration, stream, output, entries, ahead):
    """What the zygote's child does; `ahead` of need there is time to rehearse. Never returns."""
    try:
        for entry in entries:
            os.write(entry, b"0")
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(stream, FRAMES_FD)
        os.closerange(FRAMES_FD + 1, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        if configuration["isolated"]:
            confine.own_mounts(configuration["tmp_bytes"])
            confine.no_privileges()
        confine.no_calls_but(configuration["seccomp"])
        configuration["ahead"] = ahead
        _exec_if_libraries_are_shipped(configuration)
        serve(configuration)
    except BaseException:  # noqa: BLE001  a worker must never fall back into the zygote's loop
        traceback.print_exc()
    finally:
        flush_output()
        os._exit(1)


def _exec_if_libraries_are_shipped(configuration):
    """The dynamic linker reads LD_LIBRARY_PATH and LD_PRELOAD once, at exec. A function that ships shared objects there gets a fresh
    interpreter, which costs it the zygote's head start; any other keeps it."""
    environment = configuration["environment"]
    shipped = tuple(folder for folder in (configuration["code"], configuration["layers"]) if folder)
    folders = [folder for folder in environment.get("LD_LIBRARY_PATH", "").split(":") if folder.startswith(shipped)]
    if not environment.get("LD_PRELOAD") and not any(glob.glob(f"{folder}/*.so*") for folder in folders):
        return
    file = os.memfd_create("configuration", 0)
    os.write(file, json.dumps({**configuration, "seccomp": ""}).encode())
    os.lseek(file, 0, os.SEEK_SET)
    if file != CONFIGURATION_FD:
        os.dup2(file, CONFIGURATION_FD)
        os.close(file)
    os.set_inheritable(FRAMES_FD, True)
    os.execve(PYTHON, [PYTHON, "-S", "-s", "-B", __file__], environment)


def _set_up_process(configuration):
    """All that is the function's and needs no byte of its code."""
    os.environ.clear()
    os.environ.update(configuration["environment"])
    time.tzset()
    # The zygote's objects know the files that were behind these descriptors before.
    sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    os.chdir(configuration["code"])
    sys.path[:] = configuration["path"]
    for name in OWN_MODULES:  # a function may have a module of the same name
        sys.modules.pop(name, None)
    if random := sys.modules.get("numpy.random"):
        random.seed()  # imported before the fork, it would draw the same numbers in every instance


def _take_on(start):
    os.environ["FC_INSTANCE_ID"] = start["instance_id"]
    if start["memory_bytes"]:
        confine.limit_memory(start["memory_bytes"])


class _Formatter(logging.Formatter):
    converter = time.gmtime
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record):
        record.request_id = current.request_id
        return super().format(record)


class _ToStdout(logging.StreamHandler):
    """Writes to whatever sys.stdout is at the time."""

    def __init__(self):
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stdout


def error_body(error, kind=None):
    """{errorMessage, errorType, stackTrace: [[file, line, function, code], ...]}, without our own frames."""
    ours = (os.path.dirname(os.path.abspath(__file__)), "<frozen importlib", importlib.__file__)
    stack = [[frame.filename, frame.lineno, frame.name, frame.line or ""]
             for frame in traceback.extract_tb(error.__traceback__)
             if not frame.filename.startswith(ours)]
    if isinstance(error, SyntaxError) and error.filename:  # in a file that has not run, so it is in no frame
        stack.append([error.filename, error.lineno, "<module>", (error.text or "").strip()])
    return json.dumps({"errorMessage": str(error), "errorType": kind or type(error).__name__, "stackTrace": stack}).encode()


def to_bytes(value):
    """Text and bytes as they are, anything else as JSON."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return json.dumps(value).encode()


def result_bytes(result):
    """The body of a reply; an iterable of its pieces when the handler gave a generator."""
    return map(to_bytes, result) if isinstance(result, types.GeneratorType) else to_bytes(result)


def too_large(size):
    message = f"The result has {size} bytes; at most {frames.MAX_PAYLOAD} can be answered at once, stream it instead"
    return json.dumps({"errorMessage": message, "errorType": "ResultTooLarge", "stackTrace": []}).encode()


def flush_output():
    """What a call or hook has printed is to be out before its answer is, or it would be taken for another's."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: BLE001  the function's own object, perhaps, or one that it has closed
            pass


class _InitFailure(Exception):
    def __init__(self, body):
        self.body = body


def _resolve(name, code):
    """The function a handler string names: "file.function", the file with '/' or '.' between folders."""
    module_name, _, attribute = name.rpartition(".")
    module_name = module_name.replace("/", ".")
    if not module_name or not attribute:
        raise _InitFailure(error_body(ValueError(f"Handler '{name}' must be 'file.function'"), "HandlerNotFound"))
    loaded = sys.modules.get(module_name)
    if loaded is not None and not (getattr(loaded, "__file__", None) or "").startswith(code):
        del sys.modules[module_name]  # the handler's own file wins over a standard module of its name
    try:
        module = importlib.import_module(module_name)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001
        raise _InitFailure(error_body(error, "ImportModuleError" if isinstance(error, ImportError) else None)) from None
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise _InitFailure(error_body(AttributeError(f"Handler '{attribute}' is missing on module '{module_name}'").with_traceback(None), "HandlerNotFound")) from error


class Place:
    """Which cores this worker may run on. Short calls are cheapest on the core of the shard that sends them, for waking a process there
    costs a fraction of waking one elsewhere. Long ones need all cores, or a function's instances would share one. A worker begins free, so
    that starts do not queue for a core."""

    def __init__(self, all_cores):
        self._home = os.sched_getaffinity(0)  # inherited from the shard's thread
        self._all = all_cores or self._home   # what the server may use
        self._at_home = True
        self.free()

    def free(self):
        if self._at_home:
            self._at_home = False
            os.sched_setaffinity(0, self._all)

    def after_call(self, took_us):
        if took_us < SHORT_CALL_US:
            if not self._at_home:
                self._at_home = True
                os.sched_setaffinity(0, self._home)
        elif took_us > LONG_CALL_US:
            self.free()


class Server:
    def __init__(self, configuration, start, link):
        self._configuration = configuration
        self._link = link
        self._service = ServiceAbout(configuration["service"])
        self._function = FunctionAbout(configuration["function"])
        self._credentials_bytes = None
        self._credentials = None
        self._handler = None
        self._place = Place(configuration["cores"])
        self._start = start
        self.imported_ns = 0  # when the handler had been found

    def initialize(self):
        """Imports and runs the initializer; raises _InitFailure."""
        self._set_credentials("\0".join(self._start["credentials"]).encode())
        configuration = self._configuration
        self._handler = _resolve(configuration["handler"], configuration["code"])
        self.imported_ns = time.perf_counter_ns()
        if configuration["initializer"]:
            initializer = _resolve(configuration["initializer"], configuration["code"])
            flush_output()
            self._link.send(frames.IMPORTED)
            try:
                initializer(self._context(self._start.get("request_id", ""), 0))
            except SystemExit:
                raise
            except BaseException as error:  # noqa: BLE001
                raise _InitFailure(error_body(error)) from None

    def _set_credentials(self, triple):
        self._credentials_bytes = triple
        key, secret, token = triple.decode().split("\0")
        self._credentials = Credentials(key, secret, token)
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = key
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = secret
        os.environ["ALIBABA_CLOUD_SECURITY_TOKEN"] = token

    def _context(self, request_id, retries):
        """Of what runs from now on: lines that it logs carry the id too."""
        current.request_id = request_id
        configuration = self._configuration
        return Context(request_id, self._credentials, self._function, self._service, configuration["region"], configuration["account"], retries)

    def call(self, retries, number, meta, payload):
        request_id, triple, http = meta.split(b"\1")
        if triple != self._credentials_bytes:
            self._set_credentials(triple)
        context = self._context(request_id.decode(), retries)
        status, answer_meta = frames.OK, b""
        began = time.perf_counter_ns()
        try:
            if http:
                answer_meta, body = wsgi.run(self._handler, json.loads(http), payload, context)
            else:
                body = result_bytes(self._handler(payload, context))
        except SystemExit as leaving:
            _leave(leaving.code)
        except BaseException as error:  # noqa: BLE001  the caller's answer is the error, whatever it is
            status, body = frames.HANDLED_ERROR, error_body(error)
        if not isinstance(body, bytes):
            status, body = self._stream(number, answer_meta, body)
            answer_meta = b""
        if len(body) > frames.MAX_PAYLOAD:
            status, answer_meta, body = frames.HANDLED_ERROR, b"", too_large(len(body))
        took_us = (time.perf_counter_ns() - began) // 1000
        flush_output()
        self._link.send(frames.REPLY, number, status, took_us, answer_meta, body)
        return took_us

    def _stream(self, number, meta, pieces):
        """Sends the reply piece by piece; (status, body) of the frame that ends it."""
        self._link.send(frames.HEAD, number, meta=meta)
        try:
            for piece in pieces:
                for at in range(0, len(piece), CHUNK_BYTES):
                    self._link.send(frames.CHUNK, number, payload=piece[at:at + CHUNK_BYTES])
        except SystemExit as leaving:
            _leave(leaving.code)
        except BaseException as error:  # noqa: BLE001  the reader learns that the body broke off
            return frames.HANDLED_ERROR, error_body(error)
        return frames.OK, b""

    def hook(self, number, meta):
        """Runs a lifecycle hook; what it raises is logged and changes nothing."""
        name, request_id, triple = (meta.split(b"\1") + [b"", self._credentials_bytes])[:3]  # an older server sends the name alone
        if triple != self._credentials_bytes:
            self._set_credentials(triple)
        context = self._context(request_id.decode(), 0)
        handler = self._configuration[{b"preStop": "pre_stop", b"preFreeze": "pre_freeze"}[name]]
        try:
            if handler:
                _resolve(handler, self._configuration["code"])(context)
        except SystemExit as leaving:
            _leave(leaving.code)
        except BaseException as error:  # noqa: BLE001
            body = error.body if isinstance(error, _InitFailure) else error_body(error)
            print(f"{name.decode()} failed: {body.decode()}", file=sys.stderr)
        flush_output()
        self._link.send(frames.REPLY, number)

    def _serve(self, kind, retries, number, meta, payload):
        """Microseconds that it took; 0 for a hook."""
        if kind == frames.CALL:
            return self.call(retries, number, meta, payload)
        self.hook(number, meta)
        return 0

    def run(self):
        while frame := self._link.receive():
            self._place.after_call(self._serve(*frame))


def _leave(code):
    """sys.exit() in a handler ends the process, as it does in a script; the platform answers for it."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    flush_output()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def serve(configuration):
    link = frames.Link(socket.socket(fileno=FRAMES_FD))
    _set_up_process(configuration)
    if configuration["ahead"]:
        rehearse.rehearse(Server, configuration)
    frame = link.receive()
    if frame is None:
        return
    start = json.loads(frame[4])
    began = time.perf_counter_ns()
    _take_on(start)
    server = Server(configuration, start, link)
    try:
        server.initialize()
    except SystemExit as leaving:
        _leave(leaving.code)
    except _InitFailure as failure:
        flush_output()
        link.send(frames.FAILED, payload=failure.body)
        return
    ended = time.perf_counter_ns()
    flush_output()
    meta = json.dumps({"memfd": True, "import_us": (server.imported_ns - began) // 1000, "init_us": (ended - server.imported_ns) // 1000})
    link.send(frames.READY, duration_us=(ended - began) // 1000, meta=meta.encode())
    server.run()
    flush_output()
    os._exit(0)  # the server has closed the stream: the polite end


def main():
    with os.fdopen(CONFIGURATION_FD, "rb") as file:
        configuration = json.load(file)
    prepare(configuration)
    serve(configuration)


if __name__ == "__main__":
    main()
