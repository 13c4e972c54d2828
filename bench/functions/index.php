<?php
// The benches' functions in PHP, those of functions.cc.

function hello($event, $context)
{
    return json_encode(['hello' => json_decode($event)->name]);
}

function nap($event, $context)
{
    $began = intdiv(hrtime(true), 1000);
    usleep(json_decode($event)->ms * 1000);
    return json_encode(['began_us' => $began]);
}

function echo_back($event, $context)
{
    $wish = json_decode($event);
    usleep($wish->ms * 1000);
    $GLOBALS['fcLogger']->info('echo ' . $wish->nonce);
    return json_encode(['nonce' => $wish->nonce]);
}
