"""Frames between the server and a worker; the format is src/runtime/frame.h, and frame_test.cc holds the two equal."""
import array
import fcntl
import os
import socket
import struct

HEADER = struct.Struct("<IIBBHIQ")  # payload size, meta size, kind, status, retries, call, duration in us

START, READY, CALL, REPLY, FAILED, HEAD, CHUNK, HOOK, IMPORTED = 1, 2, 3, 4, 5, 6, 7, 8, 9
OK, HANDLED_ERROR = 0, 1
IN_MEMFD = 0x80
MAX_PAYLOAD = 33 << 20  # kMaxPayloadBytes

_HEADER_SIZE = HEADER.size
_GATHER_SIZE = 16384  # a payload up to this size is copied behind its head: cheaper than a gathering send
_READ_SIZE = 65536  # one receive takes a whole call of usual size
_MEMFD_SIZE = 256 << 10  # kMemfdBytes
_SPACE = socket.CMSG_SPACE(8 * 4)  # kMaxUntakenDescriptors


class Link:
    """The worker's end of its stream to the server, for one thread."""

    def __init__(self, sock):
        self._sock = sock
        self._rest = b""
        self._files = []  # descriptors that came and belong to frames not read yet
        self._unpack, self._pack = HEADER.unpack_from, HEADER.pack  # found once: this is the path of every call

    def receive(self):
        """(kind, retries, call, meta, payload) of the next frame; None when the server is gone."""
        data = self._rest or self._read()
        while len(data) < _HEADER_SIZE:
            more = self._read()
            if not more:
                return None
            data += more
        payload_size, meta_size, kind, status, retries, call, _ = self._unpack(data)
        meta_end = _HEADER_SIZE + meta_size
        if status & IN_MEMFD:
            return self._take_file(data, meta_end, payload_size, kind, retries, call)
        end = meta_end + payload_size
        if len(data) < end:
            data = self._fill(data, end)
            if data is None:
                return None
        self._rest = data[end:]
        return kind, retries, call, data[_HEADER_SIZE:meta_end], data[meta_end:end]

    def _read(self):
        data, passed, _, _ = self._sock.recvmsg(_READ_SIZE, _SPACE, socket.MSG_CMSG_CLOEXEC)
        if passed:
            self._keep(passed)
        return data

    def _keep(self, passed):
        for level, kind, content in passed:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files = array.array("i")
                files.frombytes(content[:len(content) - len(content) % files.itemsize])
                self._files += files

    def _take_file(self, data, meta_end, size, kind, retries, call):
        """A frame whose payload is in a file of its own."""
        if len(data) < meta_end:
            data = self._fill(data, meta_end)
            if data is None:
                return None
        self._rest = data[meta_end:]
        with os.fdopen(self._files.pop(0), "rb", buffering=0) as file:
            payload = os.pread(file.fileno(), size, 0)
        return kind, retries, call, data[_HEADER_SIZE:meta_end], payload

    def _fill(self, data, size):
        whole = bytearray(size)
        whole[:len(data)] = data
        view = memoryview(whole)
        at = len(data)
        while at < size:
            got, passed, _, _ = self._sock.recvmsg_into([view[at:]], _SPACE, socket.MSG_CMSG_CLOEXEC)
            if passed:
                self._keep(passed)
            if not got:
                return None
            at += got
        return bytes(whole)

    def _send_file(self, kind, call, status, duration_us, meta, payload):
        file = os.memfd_create("body", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(payload)
            while view:
                view = view[os.write(file, view):]
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
            head = self._pack(len(payload), len(meta), kind, status | IN_MEMFD, 0, call, duration_us) + meta
            sent = self._sock.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
            self._sock.sendall(head[sent:])
        finally:
            os.close(file)

    def send(self, kind, call=0, status=OK, duration_us=0, meta=b"", payload=b""):
        if len(payload) >= _MEMFD_SIZE:
            return self._send_file(kind, call, status, duration_us, meta, payload)
        head = self._pack(len(payload), len(meta), kind, status, 0, call, duration_us) + meta
        if len(payload) <= _GATHER_SIZE:
            self._sock.sendall(head + payload)
            return
        sent = self._sock.sendmsg((head, payload))
        if sent < len(head) + len(payload):
            self._sock.sendall((head + bytes(payload))[sent:])
