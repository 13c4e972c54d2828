"""Frames between the server and a worker; the format is src/runtime/frame.h, and frame_test.cc holds the two equal."""
import struct

HEADER = struct.Struct("<IIBBHIQ")  # payload size, meta size, kind, status, retries, call, duration in us

START, READY, CALL, REPLY, FAILED, HEAD, CHUNK, HOOK = 1, 2, 3, 4, 5, 6, 7, 8
OK, HANDLED_ERROR = 0, 1

_HEADER_SIZE = HEADER.size
_GATHER_SIZE = 16384  # a payload up to this size is copied behind its head: cheaper than a gathering send
_READ_SIZE = 65536  # one receive takes a whole call of usual size


class Link:
    """The worker's end of its stream to the server. One thread reads; writers take turns by the caller's lock."""

    def __init__(self, sock):
        self._sock = sock
        self._rest = b""
        self._unpack, self._pack = HEADER.unpack_from, HEADER.pack  # found once: this is the path of every call

    def receive(self):
        """(kind, retries, call, meta, payload) of the next frame; None when the server is gone."""
        data = self._rest or self._sock.recv(_READ_SIZE)
        while len(data) < _HEADER_SIZE:
            more = self._sock.recv(_READ_SIZE)
            if not more:
                return None
            data += more
        payload_size, meta_size, kind, _, retries, call, _ = self._unpack(data)
        meta_end = _HEADER_SIZE + meta_size
        end = meta_end + payload_size
        if len(data) < end:
            data = self._fill(data, end)
            if data is None:
                return None
        self._rest = data[end:]
        return kind, retries, call, data[_HEADER_SIZE:meta_end], data[meta_end:end]

    def _fill(self, data, size):
        whole = bytearray(size)
        whole[:len(data)] = data
        view = memoryview(whole)
        at = len(data)
        while at < size:
            got = self._sock.recv_into(view[at:])
            if not got:
                return None
            at += got
        return bytes(whole)

    def send(self, kind, call=0, status=OK, duration_us=0, meta=b"", payload=b""):
        head = self._pack(len(payload), len(meta), kind, status, 0, call, duration_us) + meta
        if len(payload) <= _GATHER_SIZE:
            self._sock.sendall(head + payload)
            return
        sent = self._sock.sendmsg((head, payload))
        if sent < len(head) + len(payload):
            self._sock.sendall((head + bytes(payload))[sent:])
