'use strict';
// What a process does for the first time is slow in JavaScript: functions are compiled, node's own modules loaded, caches filled. So the
// generic process takes on a tiny function of ours and serves it some calls, to nobody, before a real one comes; it saves that one's
// start about 5 ms. Nothing of it stays but what was compiled.

const path = require('path');
const util = require('util');
const { Kind } = require('./link.js');
const { Server } = require('./server.js');

const CODE = path.join(__dirname, 'rehearsal');
const CALLS = 50;
const META = Buffer.from('request\x01id\0secret\0token\x01');
const EVENT = Buffer.from('{"name":"mayfly","numbers":[1,2,3]}');

class Nobody {
  send() {}
  flush() {}
  keepAlive() {}
}

async function rehearse() {
  const { cwd, environment } = { cwd: process.cwd(), environment: { ...process.env } };
  const server = new Server(new Nobody());
  const start = {
    instance_id: 'rehearsal', credentials: ['id', 'secret', 'token'], code: CODE, handler: 'index.handler', initializer: 'module.initializer',
    environment, concurrency: 1, region: '', account: '', function: {}, service: {}, pre_stop: '', pre_freeze: '',
  };
  const frame = Buffer.from(JSON.stringify(start));
  await server.takeOn(JSON.parse(frame.toString()));
  for (let i = 0; i < CALLS; ++i) server.take(Kind.CALL, 0, i, META, 0, META.length, EVENT);
  util.format('%s %o', 'text', { a: [new Date().toISOString()] });
  process.chdir(cwd);
}

module.exports = { rehearse };
