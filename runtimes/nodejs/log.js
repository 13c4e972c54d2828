'use strict';
// What a function prints: each console call is one entry `<ISO time> <request id> [level] text` (aliyun-fc.md 5.8), written at once, so
// that nothing is lost when the process is ended in the middle of a call.

const fs = require('fs');
const util = require('util');

// The most urgent first, as the vendor orders them: setLogLevel('info') keeps error, warn and info.
const LEVELS = ['error', 'warn', 'info', 'verbose', 'debug'];
const METHODS = { error: 'error', warn: 'warn', info: 'info', log: 'verbose', debug: 'debug', trace: 'error' };
const PIPE_FULL_WAIT_MS = 1;

let level = LEVELS.length - 1;
let requestId = () => '';
const still = new Int32Array(new SharedArrayBuffer(4));

function setLogLevel(name) {
  const found = LEVELS.indexOf(String(name).toLowerCase());
  if (found < 0) throw new RangeError(`No log level '${name}'; there are ${LEVELS.join(', ')}`);
  level = found;
}

function writeOut(text) {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length;) {
    try {
      at += fs.writeSync(1, data, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') return;  // nobody reads any more
      Atomics.wait(still, 0, 0, PIPE_FULL_WAIT_MS);
    }
  }
}

function print(name, request, values) {
  if (LEVELS.indexOf(name) > level) return;
  writeOut(`${new Date().toISOString()} ${request} [${name}] ${util.format(...values)}\n`);
}

// What went wrong in `where`, whatever the log's level.
function writeError(request, where, error) {
  writeOut(`${new Date().toISOString()} ${request} [error] ${where}: ${error?.stack ?? String(error)}\n`);
}

// `current()` is the id of the request that the running code works for.
function takeOverConsole(current) {
  requestId = current;
  for (const [method, name] of Object.entries(METHODS)) {
    if (method !== 'trace') console[method] = (...values) => print(name, requestId(), values);
  }
  console.trace = function trace(...values) {
    const here = { name: 'Trace', message: util.format(...values) };
    Error.captureStackTrace(here, trace);
    print(METHODS.trace, requestId(), [here.stack]);
  };
  console.assert = (holds, ...values) => {
    if (!holds) print('warn', requestId(), values.length > 0 ? ['Assertion failed:', ...values] : ['Assertion failed']);
  };
  console.setLogLevel = setLogLevel;
}

// context.logger: the same for one request, whoever else is running.
class Logger {
  constructor(request) { this.requestId = request; }
  error(...values) { print('error', this.requestId, values); }
  warn(...values) { print('warn', this.requestId, values); }
  info(...values) { print('info', this.requestId, values); }
  log(...values) { print('verbose', this.requestId, values); }
  verbose(...values) { print('verbose', this.requestId, values); }
  debug(...values) { print('debug', this.requestId, values); }
  setLogLevel(name) { setLogLevel(name); }
}

module.exports = { Logger, takeOverConsole, writeError };
