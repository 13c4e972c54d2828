'use strict';
// Which cores this process may run on. A process is started on the core of the shard that calls it: waking it there costs a fraction of
// waking it elsewhere, and that is most of what a short call costs. Long calls need all cores, or a function's instances would share one.
// Node has no call for it, so taskset (util-linux) is asked, seldom: after some long calls, or very many short ones, in a row.

const { spawn } = require('child_process');
const fs = require('fs');

const TASKSET = '/usr/bin/taskset';
const SHORT_CALL_US = 200, LONG_CALL_US = 1000;  // as runtimes/python/worker.py has them
const LONG_IN_A_ROW = 3;       // the first calls of a process are long, whatever it does,
const VERY_LONG_CALL_US = 10000;  // but not so long
const SHORT_IN_A_ROW = 2000;   // a move costs some milliseconds

class Place {
  // `all`: cores that the server may use.
  constructor(all) {
    this._all = all.join(',');
    this._home = /Cpus_allowed_list:\s*(\S+)/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1];
    this._atHome = true;
    this._inARow = 0;
    this._needed = LONG_IN_A_ROW;
  }

  afterCall(tookUs) {
    const another = this._atHome ? tookUs > LONG_CALL_US : tookUs < SHORT_CALL_US;
    if (!another) {
      this._inARow = 0;
    } else if (++this._inARow >= this._needed || (this._atHome && tookUs > VERY_LONG_CALL_US)) {
      this._move(!this._atHome);
    }
  }

  _move(home) {
    this._atHome = home;
    this._inARow = 0;
    this._needed = home ? LONG_IN_A_ROW : SHORT_IN_A_ROW;
    const mover = spawn(TASKSET, ['-a', '-c', '-p', home ? this._home : this._all, String(process.pid)], { stdio: 'ignore', env: {}, cwd: '/' });
    mover.on('error', () => {});  // without it the process stays where it is
    mover.unref();
  }
}

module.exports = { Place };
