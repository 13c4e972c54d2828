'use strict';
// Frames between the server and this process; the format is src/runtime/frame.h, and src/runtime/frame_test.cc holds the two equal.
//
// The path of every call is here, so it is written for the machine: one read brings many frames into a buffer that stays, what is sent is
// gathered in another and leaves by one write of its own, and only what the socket does not take at once goes through the stream's queue.

const fs = require('fs');
const net = require('net');

const Kind = { START: 1, READY: 2, CALL: 3, REPLY: 4, FAILED: 5, HEAD: 6, CHUNK: 7, HOOK: 8, IMPORTED: 9 };
const OK = 0, HANDLED_ERROR = 1;

const HEADER_SIZE = 24;
const READ_SIZE = 65536;         // one receive takes many calls of usual size
const GATHER_SIZE = 65536;       // replies of one turn of the event loop that leave together
const MAX_PAYLOAD = 33 << 20;    // kMaxPayloadBytes of frame.h
const FULL_QUEUE = 256 << 10;    // bytes waiting for the server beyond which a streamed reply pauses
const NOTHING = Buffer.alloc(0);

class Link {
  constructor(fd) {
    this._fd = fd;
    this._take = null;
    this._in = Buffer.allocUnsafeSlow(READ_SIZE);
    this._out = Buffer.allocUnsafeSlow(GATHER_SIZE);
    this._gathered = 0;
    this._head = Buffer.allocUnsafeSlow(HEADER_SIZE);  // of a frame whose header came in two pieces
    this._whole = null;                                // a frame that is longer than what was read, or the header above
    this._have = 0;
    this._receiving = false;
    this._scheduled = false;
    this._flushLater = () => { this._scheduled = false; this.flush(); };
    this._socket = new net.Socket({ fd, onread: { buffer: this._in, callback: (size) => { this._received(size); return true; } } });
  }

  // `take(kind, retries, call, data, meta begin, meta end, payload)` per frame, `data` only until it returns; `ended()` when the server is gone.
  listen(take, ended) {
    this._take = take;
    this._socket.on('end', ended).on('close', ended).on('error', ended);
    this._socket.resume();
  }

  // A process that has nothing to wait for but us says so by 'beforeExit', while this is off.
  keepAlive(on) {
    if (on) this._socket.ref(); else this._socket.unref();
  }

  _received(size) {
    this._receiving = true;
    try {
      this._cut(this._in, this._whole ? this._fill(size) : 0, size);
    } finally {
      this._receiving = false;
    }
    if (this._gathered > 0) this.flush();
  }

  // Hands out the whole frames between `at` and `end`, and keeps what is left.
  _cut(data, at, end) {
    while (end - at >= HEADER_SIZE) {
      const payloadSize = data.readUInt32LE(at), metaSize = data.readUInt32LE(at + 4);
      const size = HEADER_SIZE + metaSize + payloadSize;
      if (end - at < size) {
        this._whole = Buffer.allocUnsafeSlow(size);
        break;
      }
      const payloadAt = at + HEADER_SIZE + metaSize;
      let payload = NOTHING;
      if (payloadSize > 0) {
        payload = Buffer.allocUnsafe(payloadSize);  // the function may keep it, the buffer is read into again
        data.copy(payload, 0, payloadAt, payloadAt + payloadSize);
      }
      this._take(data[at + 8], data.readUInt16LE(at + 10), data.readUInt32LE(at + 12), data, at + HEADER_SIZE, payloadAt, payload);
      at += size;
    }
    if (at === end) return;
    this._whole ??= this._head;
    this._have = data.copy(this._whole, 0, at, end);
  }

  // Adds what was received to the frame that is not whole yet; how much of it that took.
  _fill(size) {
    let used = this._in.copy(this._whole, this._have, 0, Math.min(size, this._whole.length - this._have));
    this._have += used;
    if (this._have < this._whole.length) return used;
    if (this._whole === this._head) {
      const frame = HEADER_SIZE + this._head.readUInt32LE(4) + this._head.readUInt32LE(0);
      if (frame > HEADER_SIZE) {
        this._whole = Buffer.allocUnsafeSlow(frame);
        this._head.copy(this._whole);
        return used + this._fillFrom(used, size);
      }
    }
    this._deliver();
    return used;
  }

  _fillFrom(at, size) {
    const used = this._in.copy(this._whole, this._have, at, Math.min(size, at + this._whole.length - this._have));
    this._have += used;
    if (this._have === this._whole.length) this._deliver();
    return used;
  }

  _deliver() {
    const data = this._whole, payloadAt = HEADER_SIZE + data.readUInt32LE(4);
    this._whole = null;
    this._take(data[8], data.readUInt16LE(10), data.readUInt32LE(12), data, HEADER_SIZE, payloadAt, data.subarray(payloadAt));
  }

  // `meta` is text; `payload` text or bytes. It leaves at the end of this turn of the event loop at the latest.
  send(kind, call, status, durationUs, meta, payload) {
    const room = GATHER_SIZE - HEADER_SIZE - (meta.length + (typeof payload === 'string' ? payload.length : 0)) * 3;  // UTF-8, at most
    const bytes = typeof payload === 'string' ? 0 : payload.length;
    if (bytes > room) return this._sendLarge(kind, call, status, durationUs, meta, payload);
    if (bytes > room - this._gathered) this.flush();
    const out = this._out, at = this._gathered, metaAt = at + HEADER_SIZE;
    const metaSize = meta.length > 0 ? out.write(meta, metaAt) : 0;
    const payloadAt = metaAt + metaSize;
    let payloadSize = payload.length;
    if (payloadSize > 0) {
      if (typeof payload === 'string') payloadSize = out.write(payload, payloadAt);
      else out.set(payload, payloadAt);
    }
    writeHeader(out, at, payloadSize, metaSize, kind, status, call, durationUs);
    this._gathered = payloadAt + payloadSize;
    if (!this._receiving && !this._scheduled) {
      this._scheduled = true;
      process.nextTick(this._flushLater);
    }
  }

  _sendLarge(kind, call, status, durationUs, meta, payload) {
    this.flush();
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
    const head = Buffer.allocUnsafe(HEADER_SIZE + meta.length * 3);
    const metaSize = head.write(meta, HEADER_SIZE);
    writeHeader(head, 0, body.length, metaSize, kind, status, call, durationUs);
    this._write(head, 0, HEADER_SIZE + metaSize);
    this._write(body, 0, body.length);
  }

  flush() {
    if (this._gathered === 0) return;
    const size = this._gathered;
    this._gathered = 0;
    this._write(this._out, 0, size);
  }

  _write(data, at, end) {
    if (this._socket.writableLength === 0) {  // nothing is waiting that has to go first
      try {
        at += fs.writeSync(this._fd, data, at, end - at);
      } catch (error) {
        if (error.code !== 'EAGAIN') process.exit(0);  // the server is gone
      }
    }
    if (at < end) this._socket.write(data === this._out ? Buffer.from(data.subarray(at, end)) : data.subarray(at, end));
  }

  // Calls `go` when a streamed reply may send more.
  whenRoom(go) {
    if (this._socket.writableLength < FULL_QUEUE) go();
    else this._socket.once('drain', go);
  }

  // Calls `go` when everything that was sent has left the process; for its end.
  whenSent(go) {
    this.flush();
    if (this._socket.writableLength === 0) go();
    else this._socket.once('drain', go);
  }
}

function writeHeader(out, at, payloadSize, metaSize, kind, status, call, durationUs) {
  out.writeUInt32LE(payloadSize, at);
  out.writeUInt32LE(metaSize, at + 4);
  out[at + 8] = kind;
  out[at + 9] = status;
  out[at + 10] = out[at + 11] = 0;
  out.writeUInt32LE(call, at + 12);
  out.writeUInt32LE(durationUs >>> 0, at + 16);
  out.writeUInt32LE(Math.floor(durationUs / 4294967296), at + 20);
}

module.exports = { Kind, OK, HANDLED_ERROR, MAX_PAYLOAD, Link };
