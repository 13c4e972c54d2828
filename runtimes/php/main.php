<?php
// The generic PHP process: started ahead of need, it waits on descriptor 3 until the server says which function it is to be, then serves
// its calls one after another. The contract with the handler is specs aliyun-fc.md 5.1, 5.4, 5.7 and 5.8.
//
// A function's files are required here, in the outermost scope, for what they define at their top level is to be global to them.

require __DIR__ . '/link.php';
require __DIR__ . '/logger.php';
require __DIR__ . '/place.php';
require __DIR__ . '/server.php';
spl_autoload_register(Mayfly\Server::provideClass(...));  // the last: an autoloader of the function's own stands before it

$__mayfly = new Mayfly\Server(new Mayfly\Link(3));
try {
    foreach ($__mayfly->takeOn() as $__mayflyFile) {
        require_once $__mayflyFile;
    }
    unset($__mayflyFile);
    $__mayfly->initialize();
} catch (Throwable $__mayflyError) {
    $__mayfly->fail($__mayflyError);
}
$__mayfly->serve();
