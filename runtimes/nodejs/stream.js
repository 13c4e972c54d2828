'use strict';
// Replies that leave piece by piece: a head, chunks, and an empty reply that ends them.

const { Readable, Writable, pipeline } = require('stream');
const { errorBody } = require('./errors.js');

const MAX_CHUNK = 1 << 20;  // a longer piece goes as several frames, so that no single one fills the server's window
const STREAMED = Symbol('mayfly.streamed');

// The function writes here. The head goes with the first byte, or with the end of an empty reply.
class ReplyStream extends Writable {
  constructor(call) {
    super({ decodeStrings: true });
    this._call = call;
    this._head = '';
  }

  // HTTP functions: {status, headers: {name: [value, ...]}}.
  setHead(head) { this._head = JSON.stringify(head); }
  setContentType(type) { this.setHead({ status: 200, headers: { 'Content-Type': [type] } }); }

  _write(data, encoding, done) {
    this._call.open(this._head);
    for (let at = 0; at < data.length; at += MAX_CHUNK) this._call.chunk(data.subarray(at, at + MAX_CHUNK));
    this._call.whenRoom(done);
  }

  _final(done) {
    this._call.open(this._head);
    this._call.close();
    done();
  }

  _destroy(error, done) {
    if (error) this._call.fail(errorBody(error));
    done(error);
  }
}

function isStream(value) {
  return typeof value === 'object' && value !== null && (typeof value.pipe === 'function' || typeof value[Symbol.asyncIterator] === 'function');
}

function sendStream(call, source, head) {
  const reply = new ReplyStream(call);
  if (head) reply.setHead(head);
  reply.on('error', () => {});  // told to the caller already
  pipeline(typeof source.pipe === 'function' ? source : Readable.from(source), reply, () => {});
}

// The `awslambda` global of streaming handlers: streamifyResponse(async (event, responseStream, context) => ...).
const awslambda = {
  streamifyResponse(handler) {
    handler[STREAMED] = true;
    return handler;
  },
  HttpResponseStream: {
    from(stream, about) {
      const headers = {};
      for (const [name, value] of Object.entries(about.headers || {})) headers[name] = [].concat(value).map(String);
      if (about.cookies) headers['Set-Cookie'] = about.cookies;
      stream.setHead({ status: about.statusCode || 200, headers });
      return stream;
    },
  },
};

module.exports = { ReplyStream, STREAMED, awslambda, isStream, sendStream };
