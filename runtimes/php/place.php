<?php
// Which cores this process may run on. A process is started on the core of the shard that calls it: waking it there costs a fraction of
// waking it elsewhere. Long calls need all cores, or a function's instances would share one. PHP has no call for it, so taskset
// (util-linux) is asked, seldom: after some long calls, or very many short ones, in a row.

namespace Mayfly;

final class Place
{
    private const TASKSET = '/usr/bin/taskset';
    private const SHORT_CALL_US = 200, LONG_CALL_US = 1000;  // as runtimes/python/worker.py has them
    private const LONG_IN_A_ROW = 3;      // the first calls of a process are long, whatever it does,
    private const VERY_LONG_CALL_US = 10000;  // but not so long
    private const SHORT_IN_A_ROW = 2000;  // a move costs some milliseconds

    private string $all;
    private string $home = '';
    private bool $atHome = true;
    private int $inARow = 0;

    // `$all`: cores that the server may use; none: the process stays where it is.
    public function __construct(array $all)
    {
        $this->all = implode(',', $all);
        if ($all && preg_match('/Cpus_allowed_list:\s*(\S+)/', (string)@file_get_contents('/proc/self/status'), $match)) {
            $this->home = $match[1];
        }
    }

    public function afterCall(int $tookUs): void
    {
        if ($this->home === '') {
            return;
        }
        $another = $this->atHome ? $tookUs > self::LONG_CALL_US : $tookUs < self::SHORT_CALL_US;
        $this->inARow = $another ? $this->inARow + 1 : 0;
        if (($this->atHome && $tookUs > self::VERY_LONG_CALL_US) || $this->inARow >= ($this->atHome ? self::LONG_IN_A_ROW : self::SHORT_IN_A_ROW)) {
            $this->move(!$this->atHome);
        }
    }

    private function move(bool $home): void
    {
        $this->atHome = $home;
        $this->inARow = 0;
        $nothing = ['file', '/dev/null', 'r+'];
        $command = [self::TASKSET, '-a', '-c', '-p', $home ? $this->home : $this->all, (string)getmypid()];
        $mover = is_executable(self::TASKSET) ? @proc_open($command, [$nothing, $nothing, $nothing], $pipes, '/', []) : false;
        if ($mover) {
            proc_close($mover);
        }
    }
}
