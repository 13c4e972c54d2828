"""HTTP functions: the handler is a WSGI application, handler(environ, start_response), with fc.context and fc.request_uri in environ."""
import io
import itertools
import json
import sys
from urllib.parse import unquote_to_bytes


def _lines(values):
    """Header values as a list; a message may hold one string or a list of them."""
    return values if isinstance(values, list) else [values]


def make_environ(http, payload, context):
    path, _, query = http.get("requestURI", http.get("path", "/")).partition("?")
    host, _, port = http.get("host", "localhost").partition(":")
    environ = {
        "REQUEST_METHOD": http.get("method", "GET"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(http.get("path", path)).decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": http.get("clientIP", ""),
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(payload)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(payload),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "fc.context": context,
        "fc.request_uri": http.get("requestURI", path),
    }
    for name, values in http.get("headers", {}).items():
        key = name.upper().replace("-", "_")
        if key == "CONTENT_TYPE":
            environ[key] = ",".join(_lines(values))
        elif key != "CONTENT_LENGTH":
            environ["HTTP_" + key] = ("; " if key == "COOKIE" else ",").join(_lines(values))
    return environ


def run(handler, http, payload, context):
    """(meta, pieces) of the reply: meta is JSON {status, headers: {name: [value, ...]}}, pieces an iterable of bytes. An application that
    gives its body as a list has the reply whole; one that gives a generator streams it."""
    answer = {"status": 200, "headers": {}}
    written = []

    def start_response(status, headers, exc_info=None):
        answer["status"] = int(status.split(" ", 1)[0])
        answer["headers"] = {}
        for name, value in headers:
            answer["headers"].setdefault(name, []).append(value)
        return written.append

    parts = handler(make_environ(http, payload, context), start_response)
    if isinstance(parts, (str, bytes)):
        parts = [parts]
    pieces = _pieces(parts, written)
    if parts is None or isinstance(parts, (list, tuple)):
        whole = b"".join(pieces)
        return json.dumps(answer).encode(), whole
    first = next(pieces, b"")  # start_response may be called only when the first piece is asked for (PEP 3333)
    return json.dumps(answer).encode(), itertools.chain((first,), pieces)


def _pieces(parts, written):
    """The body piece by piece, in front of each what write() was given meanwhile."""
    try:
        for part in parts or ():
            yield b"".join(written) + (part.encode() if isinstance(part, str) else part)
            written.clear()
        if written:
            yield b"".join(written)
    finally:
        if close := getattr(parts, "close", None):
            close()
