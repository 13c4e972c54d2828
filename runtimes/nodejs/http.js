'use strict';
// HTTP functions: handler(request, response, context) (aliyun-fc.md 5.3).

const { Readable } = require('stream');
const { ReplyStream, isStream, sendStream } = require('./stream.js');

// Answered by the platform itself; a function that sets them is not heard.
const PLATFORM_HEADERS = new Set(['connection', 'content-length', 'date', 'keep-alive', 'server', 'transfer-encoding', 'upgrade']);

const only = (values) => (Array.isArray(values) && values.length === 1 ? values[0] : values);

function joined(name, values) {
  return Array.isArray(values) ? values.join(name === 'cookie' ? '; ' : ', ') : values;
}

// A stream of its body, which `body` has whole.
class Request extends Readable {
  constructor(about, body) {
    super();
    this.method = about.method;
    this.path = about.path;
    this.url = this.requestURI = about.requestURI;
    this.clientIP = about.clientIP;
    this.headers = {};
    for (const name in about.headers) {
      const lower = name.toLowerCase();
      this.headers[lower] = joined(lower, about.headers[name]);
    }
    this.queries = {};
    for (const name in about.queries) this.queries[name] = only(about.queries[name]);
    this.httpVersion = '1.1';
    this.body = body;
  }

  _read() {
    if (this.body.length > 0) this.push(this.body);
    this.push(null);
  }
}

class Response {
  constructor(call) {
    this._call = call;
    this._stream = null;
    this._headers = new Map();  // lower-cased name -> [name, value, ...]
    this.statusCode = 200;
  }

  setStatusCode(code) {
    if (!Number.isInteger(code) || code < 100 || code > 999) throw new RangeError(`Invalid status code: ${code}`);
    this.statusCode = code;
  }

  setHeader(name, value) {
    const lower = String(name).toLowerCase();
    if (PLATFORM_HEADERS.has(lower) || lower.startsWith('x-fc-')) return;
    this._headers.set(lower, [String(name), ...[].concat(value).map(String)]);
  }

  getHeader(name) { return only(this._headers.get(String(name).toLowerCase())?.slice(1)); }
  deleteHeader(name) { this._headers.delete(String(name).toLowerCase()); }

  _head() {
    const headers = {};
    for (const [name, ...values] of this._headers.values()) headers[name] = values;
    return { status: this.statusCode, headers };
  }

  // A string, bytes, or a stream; anything else goes as JSON.
  send(body) {
    if (this._stream) throw new Error('The response has begun to stream: use write() and end()');
    if (isStream(body)) return sendStream(this._call, body, this._head());
    this._call.finish(body === undefined || body === null ? '' : body, JSON.stringify(this._head()));
  }

  // The same in pieces.
  write(piece, ...rest) { return this._streaming().write(piece, ...rest); }
  end(...rest) {
    if (!this._stream && rest.length < 2 && typeof rest[0] !== 'function') return this.send(rest[0]);
    return this._streaming().end(...rest);
  }

  _streaming() {
    if (!this._stream) {
      this._stream = new ReplyStream(this._call);
      this._stream.on('error', () => {});  // told to the caller already
      this._stream.setHead(this._head());
    }
    return this._stream;
  }
}

module.exports = { Request, Response };
