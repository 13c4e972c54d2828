'use strict';
// One call of the function, from its frame to the last frame of its answer. Whatever comes after the answer is not heard.

const { Kind, OK, HANDLED_ERROR, MAX_PAYLOAD } = require('./link.js');
const { errorBody, failure } = require('./errors.js');
const { isStream, sendStream } = require('./stream.js');

class Call {
  constructor(server, number, requestId) {
    this._server = server;
    this.number = number;
    this.requestId = requestId;
    this.began = performance.now();
    this.done = false;      // answered
    this.opened = false;    // the answer streams
    this.waiting = false;   // its handler has returned without an answer
    this.settled = false;   // its handler's promise has resolved, to nothing
  }

  // `meta` is the head of an HTTP function's answer.
  finish(result, meta = '') {
    if (this.done || this.opened) return;
    if (isStream(result)) return sendStream(this, result);
    let payload;
    try {
      payload = toPayload(result);
    } catch (error) {
      return this.fail(errorBody(error));
    }
    const size = typeof payload === 'string' && payload.length > MAX_PAYLOAD / 3 ? Buffer.byteLength(payload) : payload.length;
    if (size > MAX_PAYLOAD) return this.fail(failure('ResultTooLarge', `The result has ${size} bytes; at most ${MAX_PAYLOAD} can be answered at once, stream it instead`));
    this._answer(OK, meta, payload);
  }

  // Its handler has returned nothing: it may still call back for so long.
  settle(withinMs) {
    this.settled = true;
    if (!this.done) setTimeout(() => this.finish(undefined), withinMs).unref();
  }

  fail(body) {
    if (!this.done) this._answer(HANDLED_ERROR, '', body);
  }

  open(head) {
    if (this.opened || this.done) return;
    this.opened = true;
    this._server.link.send(Kind.HEAD, this.number, OK, 0, head, '');
  }

  chunk(data) {
    if (!this.done) this._server.link.send(Kind.CHUNK, this.number, OK, 0, '', data);
  }

  close() {
    if (!this.done) this._answer(OK, '', '');
  }

  whenRoom(go) { this._server.link.whenRoom(go); }

  _answer(status, meta, payload) {
    this.done = true;
    const tookUs = Math.round((performance.now() - this.began) * 1000);
    this._server.link.send(Kind.REPLY, this.number, status, tookUs, meta, payload);
    if (this.waiting) this._server.noLongerWaiting(this);
    this._server.place?.afterCall(tookUs);
  }
}

// Text and bytes go as they are, anything else as JSON; nothing is null.
function toPayload(result) {
  if (typeof result === 'string' || Buffer.isBuffer(result)) return result;
  if (ArrayBuffer.isView(result)) return Buffer.from(result.buffer, result.byteOffset, result.byteLength);
  if (result instanceof ArrayBuffer) return Buffer.from(result);
  return JSON.stringify(result) ?? 'null';
}

module.exports = { Call };
