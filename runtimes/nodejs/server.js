'use strict';
// One instance of a Node function: takes on its function when the server says which, runs its initializer, then serves calls, several at
// once when the function allows. The contract with the handler is specs aliyun-fc.md 5.1, 5.3, 5.7 and 5.8.

const { AsyncLocalStorage } = require('async_hooks');
const { Kind, OK } = require('./link.js');
const { Call } = require('./call.js');
const { About, Context } = require('./context.js');
const { enter } = require('./environment.js');
const { InitFailure, errorBody, failure } = require('./errors.js');
const { Request, Response } = require('./http.js');
const { resolve } = require('./load.js');
const { Place } = require('./place.js');
const { takeOverConsole, writeError } = require('./log.js');
const { ReplyStream, STREAMED, awslambda } = require('./stream.js');

const META_END = '\x01';            // of a field
const CALLS_BACK_WITHIN_MS = 1000;  // of its handler's promise, which has resolved to nothing; then nothing is the answer
const NEVER_ANSWERS = 'nothing that it began is running any more that could';

const isThenable = (value) => typeof value === 'object' && value !== null && typeof value.then === 'function';
const sinceUs = (began) => Math.trunc((performance.now() - began) * 1000);

class Server {
  constructor(link) {
    this._start = null;
    this._about = null;
    this._triple = null;       // credentials as the last call brought them
    this._handler = null;
    this._hooks = {};
    this._current = null;      // the call that began last
    this._waiting = new Set(); // calls whose handler has returned without an answer
    this.place = null;
    this._store = null;        // which call the running code belongs to, when there may be several
    this._begin = (call, retries, event, http) => this._run(call, retries, event, http);
    this.link = link;
  }

  // Everything a process has only one of; the rehearsal does without.
  ownProcess() {
    takeOverConsole(() => (this._store ? this._store.getStore() : this._current)?.requestId ?? '');
    globalThis.awslambda = awslambda;
    process.on('uncaughtException', (error) => this._uncaught(error, 'uncaughtException'));
    process.on('unhandledRejection', (error) => this._uncaught(error, 'unhandledRejection'));
    process.on('beforeExit', () => this._nothingLeftToRun());
    process.on('exit', () => this.link.flush());
  }

  take(kind, retries, number, data, metaAt, metaEnd, payload) {
    if (kind === Kind.CALL) this._call(retries, number, data, metaAt, metaEnd, payload);
    else if (kind === Kind.START) this.takeOn(JSON.parse(payload.toString()));
    else if (kind === Kind.HOOK) this._hook(data.toString('latin1', metaAt, metaEnd).split(META_END), number);
  }

  // Taking on a function

  async takeOn(start) {
    this._start = start;
    const began = performance.now();
    this._fail = (body) => {
      this._fail = null;
      this.link.send(Kind.FAILED, 0, OK, 0, '', body);
      this.link.flush();
    };
    this.link.keepAlive(false);
    try {
      enter(start);
      this._about = new About(start);
      this._setCredentials(start.credentials.join('\0'));
      this._handler = await resolve(start.handler, start.code);
      const initializer = start.initializer ? await resolve(start.initializer, start.code) : null;
      for (const [hook, handler] of [['preStop', start.pre_stop], ['preFreeze', start.pre_freeze]]) {
        if (handler) this._hooks[hook] = await resolve(handler, start.code);
      }
      const importUs = sinceUs(began), initBegan = performance.now();
      if (initializer) {
        this.link.send(Kind.IMPORTED, 0, OK, 0, '', '');
        this.link.flush();  // the initializer may block
        await this._initialize(initializer);
      }
      const initUs = initializer ? sinceUs(initBegan) : 0;
      this._ready(sinceUs(began), importUs, initUs);
    } catch (error) {
      this._fail?.(error instanceof InitFailure ? error.body : errorBody(error));
    }
  }

  _initialize(initializer) {
    const seconds = this._start.function.initialization_timeout;
    if (seconds) {
      setTimeout(() => this._fail?.(failure('FunctionTimedOut', `Function initialization timed out after ${seconds} seconds: ` +
        `the initializer '${this._start.initializer}' has not called its callback`)), seconds * 1000).unref();
    }
    this._current = { requestId: this._start.request_id ?? '' };
    return completion(initializer, new Context(this._about, this._current.requestId, 0));
  }

  _ready(tookUs, importUs, initUs) {
    if (!this._fail) return;  // too late, it was given up
    this._fail = null;
    if (this._start.cores) this.place = new Place(this._start.cores);
    if (this._start.concurrency > 1) this._store = new AsyncLocalStorage();
    this.link.keepAlive(true);
    this.link.send(Kind.READY, 0, OK, tookUs, `{"import_us":${importUs},"init_us":${initUs}}`, '');
  }

  _setCredentials(triple) {
    this._triple = triple;
    this._about.setCredentials(triple);
  }

  // Calls

  _call(retries, number, data, metaAt, metaEnd, event) {
    const meta = data.latin1Slice(metaAt, metaEnd);
    const idEnd = meta.indexOf(META_END), credentialsEnd = meta.indexOf(META_END, idEnd + 1);
    const triple = meta.slice(idEnd + 1, credentialsEnd);
    if (triple !== this._triple) this._setCredentials(triple);
    const call = new Call(this, number, meta.slice(0, idEnd));
    const http = credentialsEnd + 1 < meta.length ? JSON.parse(data.utf8Slice(metaAt + credentialsEnd + 1, metaEnd)) : null;
    this._current = call;
    if (this._store) this._store.run(call, this._begin, call, retries, event, http);
    else this._run(call, retries, event, http);
  }

  _run(call, retries, event, http) {
    const context = new Context(this._about, call.requestId, retries);
    try {
      if (this._handler[STREAMED]) this._runStreamed(call, http ? new Request(http, event) : event, context);
      else if (http) this._runHttp(call, new Request(http, event), context);
      else this._runEvent(call, event, context);
    } catch (error) {
      call.fail(errorBody(error));
    }
    if (call.done) return;
    call.waiting = true;
    this._waiting.add(call);
    this.link.keepAlive(false);  // to learn when nothing is left that could answer it
  }

  _runEvent(call, event, context) {
    const handler = this._handler;
    const result = handler(event, context, (error, value) => {
      if (error !== null && error !== undefined) call.fail(errorBody(error));
      else call.finish(value);
    });
    const callsBack = handler.length > 2;
    if (isThenable(result)) {
      result.then((value) => {
        if (value === undefined && callsBack) call.settle(CALLS_BACK_WITHIN_MS);
        else call.finish(value);
      }, (error) => call.fail(errorBody(error)));
    } else if (!callsBack) {
      call.finish(result);
    }
  }

  _runHttp(call, request, context) {
    const response = new Response(call);
    const result = this._handler(request, response, context);
    if (!isThenable(result)) return;
    result.then((value) => {
      if (value !== undefined && !call.done && !call.opened) response.send(value);
    }).catch((error) => call.fail(errorBody(error)));
  }

  _runStreamed(call, event, context) {
    const stream = new ReplyStream(call);
    stream.on('error', () => {});  // told to the caller already
    const result = this._handler(event, stream, context);
    if (isThenable(result)) result.then(undefined, (error) => stream.destroy(error));
  }

  noLongerWaiting(call) {
    this._waiting.delete(call);
    if (this._waiting.size === 0) this.link.keepAlive(true);
  }

  // Lifecycle hooks

  async _hook([name, requestId = '', triple = this._triple], number) {  // an older server sends the name alone
    if (triple !== this._triple) this._setCredentials(triple);
    const call = new Call(this, number, requestId);
    const hook = this._hooks[name];
    const run = () => completion(hook, new Context(this._about, requestId, 0));
    this._current = call;
    try {
      if (hook) await (this._store ? this._store.run(call, run) : run());
      call.close();
    } catch (error) {
      writeError(requestId, name, error);
      call.fail(errorBody(error));
    }
  }

  // What goes wrong outside of a handler's own words

  // The event loop is empty, and somebody waits for an answer.
  _nothingLeftToRun() {
    if (this._fail) {
      const what = this._start.initializer ? `The initializer '${this._start.initializer}' returned without calling its callback` : 'The module does not finish loading';
      return this._fail(failure('FunctionTimedOut', `${what}, and ${NEVER_ANSWERS}`));
    }
    const noneCanCome = this._waiting.size >= this._start.concurrency;  // else another call may answer this one
    this.link.keepAlive(true);
    for (const call of this._waiting) {
      if (call.settled) call.finish(undefined);
      else if (noneCanCome) call.fail(failure('HandlerNeverAnswered', `The handler returned without an answer, and ${NEVER_ANSWERS}`));
    }
    this.link.flush();
  }

  // The process cannot be trusted any more: the call gets the error, and the process ends.
  _uncaught(error, kind) {
    if (process.listenerCount(kind) > 1) return;  // the function has a listener of its own
    writeError((this._store?.getStore() ?? this._current)?.requestId ?? '', kind, error);
    const body = errorBody(error);
    this._fail?.(body);
    if (this._waiting.size > 0) this.link.send(Kind.FAILED, this._store?.getStore()?.number ?? 0, OK, 0, '', body);  // last words
    this.link.whenSent(() => process.exit(1));
  }
}

// Runs an initializer or a hook: over when its promise resolves, when it calls back, or, if it takes no callback, when it returns.
function completion(run, context) {
  return new Promise((resolve, reject) => {
    const result = run(context, (error, value) => (error !== null && error !== undefined ? reject(error) : resolve(value)));
    if (isThenable(result)) result.then(resolve, reject);
    else if (run.length < 2) resolve(result);
  });
}

module.exports = { Server };
