<?php
// One instance of a PHP function: takes on its function, runs its initializer, and answers calls.

namespace Mayfly;

// A start that failed for a reason of ours to name.
final class StartFailure extends \Exception
{
    public function __construct(public string $type, string $message)
    {
        parent::__construct($message);
    }
}

final class Server
{
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;
    private const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;
    private const PIECE = 65536;  // of a streamed answer

    private array $start = [];
    private array $about = [];        // the context, but for what is the call's own
    private string $triple = '';      // credentials as the last call brought them
    private string $handler = '';
    private ?int $running = null;     // the call that is not answered yet
    private bool $started = false;
    private float $began = 0.0;
    private int $importUs = 0;
    private Logger $logger;
    private Place $place;

    public function __construct(private Link $link)
    {
        $this->logger = $GLOBALS['fcLogger'] = new Logger();
    }

    // The classes of the vendor's runtime that a function may expect without shipping them.
    public static function provideClass(string $name): void
    {
        if (str_starts_with($name, 'Psr\\Http\\Message\\')) {
            require_once __DIR__ . '/psr.php';
        } elseif (preg_match('/^(?:RingCentral|GuzzleHttp)\\\\Psr7\\\\(Request|Response|ServerRequest|Stream|Uri)$/', $name, $match)) {
            require_once __DIR__ . '/psr7.php';
            class_alias("Mayfly\\Psr7\\$match[1]", $name);
        }
    }

    // Waits for its function. The files that define it, in the order in which they are to be required.
    public function takeOn(): array
    {
        $frame = $this->link->receive() ?? exit(0);
        $this->began = microtime(true);
        $this->start = json_decode($frame->payload, true, 512, JSON_THROW_ON_ERROR);
        register_shutdown_function($this->atEnd(...));
        $this->enter();
        $files = [];
        foreach (['handler', 'initializer', 'pre_stop', 'pre_freeze'] as $what) {
            if ($this->start[$what] ?? '') {
                $files[] = $this->fileOf($this->start[$what]);
            }
        }
        return array_unique($files);
    }

    private function enter(): void
    {
        $environment = $this->start['environment'] + ['FC_INSTANCE_ID' => $this->start['instance_id']];
        foreach (array_diff_key(getenv(), $environment) as $name => $_) {
            putenv($name);
            unset($_SERVER[$name]);
        }
        foreach ($environment as $name => $value) {
            putenv("$name=$value");
            $_SERVER[$name] = $value;
        }
        $_ENV = $environment;
        @date_default_timezone_set($environment['TZ'] ?? 'UTC') || date_default_timezone_set('UTC');
        chdir($this->start['code']);
        set_include_path(implode(PATH_SEPARATOR, [$this->start['code'], '/opt/php', '/opt', '.']));
        $function = $this->start['function'];
        $service = $this->start['service'];
        $this->about = [
            'function' => ['name' => $function['name'], 'handler' => $function['handler'], 'memory' => $function['memory'], 'timeout' => $function['timeout'],
                           'initializer' => $this->start['initializer'], 'initializationTimeout' => $function['initialization_timeout'] ?? 0],
            'service' => ['name' => $service['name'], 'logProject' => $service['log_project'], 'logStore' => $service['log_store'],
                          'qualifier' => $service['qualifier'], 'versionId' => $service['version_id']],
            'region' => $this->start['region'],
            'accountId' => $this->start['account'],
            'tracing' => ['openTracingSpanContext' => '', 'jaegerEndpoint' => '', 'openTracingSpanBaggages' => []],
        ];
        $this->setCredentials(implode("\0", $this->start['credentials']));
    }

    private function setCredentials(string $triple): void
    {
        $this->triple = $triple;
        [$id, $secret, $token] = explode("\0", $triple);
        $this->about['credentials'] = ['accessKeyId' => $id, 'accessKeySecret' => $secret, 'securityToken' => $token];
        foreach (['ALIBABA_CLOUD_ACCESS_KEY_ID' => $id, 'ALIBABA_CLOUD_ACCESS_KEY_SECRET' => $secret, 'ALIBABA_CLOUD_SECURITY_TOKEN' => $token] as $name => $value) {
            putenv("$name=$value");
            $_ENV[$name] = $_SERVER[$name] = $value;
        }
    }

    private function fileOf(string $handler): string
    {
        if (!preg_match('/.\\../', $handler)) {
            throw new StartFailure('HandlerNotFound', "Handler '$handler' must be 'file.function'");
        }
        $file = $this->start['code'] . '/' . substr($handler, 0, (int)strrpos($handler, '.')) . '.php';
        if (!is_file($file)) {
            throw new StartFailure('ImportModuleError', "Cannot find '$file' of handler '$handler'");
        }
        return $file;
    }

    private function functionOf(string $handler): string
    {
        $name = substr($handler, (int)strrpos($handler, '.') + 1);
        if (!is_callable($name)) {
            throw new StartFailure('HandlerNotFound', "Handler '$name' is missing in '" . basename($this->fileOf($handler)) . "'");
        }
        return $name;
    }

    public function initialize(): void
    {
        $this->handler = $this->functionOf($this->start['handler']);
        $initializer = $this->start['initializer'] ? $this->functionOf($this->start['initializer']) : null;
        $this->importUs = $this->sinceUs($this->began);
        $initBegan = microtime(true);
        if ($initializer) {
            $this->link->send(Link::IMPORTED);
            $initializer($this->context($this->start['request_id'] ?? '', 0));
        }
        $this->started = true;
        $this->place = new Place($this->start['cores'] ?? []);
        $meta = json_encode(['import_us' => $this->importUs, 'init_us' => $initializer ? $this->sinceUs($initBegan) : 0]);
        $this->link->send(Link::READY, durationUs: $this->sinceUs($this->began), meta: $meta);
    }

    // The start has come to nothing.
    public function fail(\Throwable $error): void
    {
        $this->started = true;  // it is told, atEnd() has nothing to add
        $this->link->send(Link::FAILED, payload: $this->errorBody($error, $error instanceof StartFailure ? $error->type : null));
        exit(1);
    }

    public function serve(): void
    {
        while ($frame = $this->link->receive()) {
            $this->running = $frame->call;
            if ($frame->kind === Link::HOOK) {
                $this->runHook($frame);
            } elseif ($frame->kind === Link::CALL) {
                $this->run($frame);
            }
            $this->running = null;
        }
        exit(0);  // the server has closed the stream: the polite end
    }

    private function run(Frame $frame): void
    {
        $began = microtime(true);
        $parts = explode("\1", $frame->meta, 3);
        if ($parts[1] !== $this->triple) {
            $this->setCredentials($parts[1]);
        }
        $status = Link::OK;
        $meta = '';
        try {
            $context = $this->context($parts[0], $frame->retries);
            if ($parts[2] !== '') {
                [$meta, $result] = $this->runHttp(json_decode($parts[2], true, 512, JSON_THROW_ON_ERROR), $frame->payload, $context);
            } else {
                $result = ($this->handler)($frame->payload, $context);
            }
            $payload = is_iterable($result) && !is_array($result) || is_resource($result) ? $this->stream($frame->call, $meta, $result) : $this->payload($result);
        } catch (\Throwable $error) {
            $status = Link::HANDLED_ERROR;
            $meta = '';
            $payload = $this->errorBody($error);
        }
        $this->running = null;
        $tookUs = $this->sinceUs($began);
        $this->link->send(Link::REPLY, $frame->call, $status, $tookUs, $meta, $payload);
        $this->place->afterCall($tookUs);
    }

    // [meta, body] of the answer; the body a string, or something to stream.
    private function runHttp(array $http, string $body, array $context): array
    {
        $uri = $http['requestURI'] ?? $http['path'];
        $request = new \RingCentral\Psr7\ServerRequest($http['method'], $uri, $http['headers'] ?? [], $body, '1.1', ['REMOTE_ADDR' => $http['clientIP'] ?? '']);
        $queries = array_map(fn ($values) => is_array($values) && count($values) === 1 ? $values[0] : $values, $http['queries'] ?? []);
        $request = $request->withQueryParams($queries)->withAttribute('path', $http['path'])->withAttribute('requestURI', $uri)
                           ->withAttribute('clientIP', $http['clientIP'] ?? '');
        $response = ($this->handler)($request, $context);
        if (!is_object($response) || !method_exists($response, 'getStatusCode')) {
            return [json_encode(['status' => 200, 'headers' => new \stdClass()]), $this->payload($response)];
        }
        $headers = array_map(fn ($values) => array_map(strval(...), array_values((array)$values)), $response->getHeaders());
        $meta = json_encode(['status' => $response->getStatusCode(), 'headers' => (object)$headers], self::JSON);
        $stream = $response->getBody();
        return [$meta, is_object($stream) && method_exists($stream, 'getSize') && $stream->getSize() === null ? $this->pieces($stream) : (string)$stream];
    }

    // Of a PSR-7 stream whose length is not known.
    private function pieces(object $stream): \Generator
    {
        while (!$stream->eof()) {
            yield $stream->read(self::PIECE);
        }
    }

    // Sends what comes piece by piece; nothing is left for the reply that ends it.
    private function stream(int $call, string &$meta, mixed $pieces): string
    {
        $this->link->send(Link::HEAD, $call, meta: $meta);
        $meta = '';
        if (is_resource($pieces)) {
            while (!feof($pieces)) {
                $this->chunk($call, (string)fread($pieces, self::PIECE));
            }
        } else {
            foreach ($pieces as $piece) {
                $this->chunk($call, $this->payload($piece));
            }
        }
        return '';
    }

    private function chunk(int $call, string $piece): void
    {
        if ($piece !== '') {
            $this->link->send(Link::CHUNK, $call, payload: $piece);
        }
    }

    private function payload(mixed $result): string
    {
        $payload = is_string($result) ? $result : ($result instanceof \Stringable ? (string)$result : json_encode($result, self::JSON));
        if (strlen($payload) > Link::MAX_PAYLOAD) {
            throw new \LengthException('The result has ' . strlen($payload) . ' bytes; at most ' . Link::MAX_PAYLOAD . ' can be answered at once, stream it instead');
        }
        return $payload;
    }

    private function runHook(Frame $frame): void
    {
        [$name, $requestId, $triple] = explode("\1", $frame->meta, 3) + ['', '', $this->triple];  // an older server sends the name alone
        if ($triple !== $this->triple) {
            $this->setCredentials($triple);
        }
        $hook = $this->start[['preStop' => 'pre_stop', 'preFreeze' => 'pre_freeze'][$name] ?? ''] ?? '';
        $status = Link::OK;
        $payload = '';
        try {
            $context = $this->context($requestId, 0);
            if ($hook) {
                ($this->functionOf($hook))($context);
            }
        } catch (\Throwable $error) {
            fwrite(\STDERR, "$name failed: $error\n");
            $status = Link::HANDLED_ERROR;
            $payload = $this->errorBody($error);
        }
        $this->running = null;
        $this->link->send(Link::REPLY, $frame->call, $status, payload: $payload);
    }

    // Of what runs from now on: lines that it logs carry the id too.
    private function context(string $requestId, int $retries): array
    {
        $this->logger->requestId = $requestId;
        return ['requestId' => $requestId] + $this->about + ['retryCount' => $retries];
    }

    // {errorMessage, errorType, stackTrace: {file, line, traceString}}, without our own frames.
    private function errorBody(\Throwable $error, ?string $type = null): string
    {
        $trace = array_filter(explode("\n", $error->getTraceAsString()), fn ($line) => !str_contains($line, __DIR__ . '/') && !preg_match('/^#\d+ \{main\}$/', $line));
        $trace = array_map(fn ($line, $number) => preg_replace('/^#\d+/', "#$number", $line), $trace, array_keys(array_values($trace)));
        $ours = str_starts_with($error->getFile(), __DIR__ . '/');
        return $this->errorText($error->getMessage(), $type ?? $error::class, $ours ? '' : $error->getFile(), $ours ? 0 : $error->getLine(), implode("\n", $trace));
    }

    private function errorText(string $message, string $type, string $file, int $line, string $trace): string
    {
        return json_encode(['errorMessage' => $message, 'errorType' => $type, 'stackTrace' => ['file' => $file, 'line' => $line, 'traceString' => $trace]],
                           JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
    }

    // A fatal error (memory_limit, a class declared twice) leaves no exception: what is known of it is the answer. A process that ends
    // itself is answered for by the platform.
    private function atEnd(): void
    {
        $error = error_get_last();
        if (!$error || !($error['type'] & self::FATAL)) {
            return;
        }
        $body = $this->errorText($error['message'], 'FatalError', $error['file'], $error['line'], '');
        if (!$this->started || $this->running !== null) {
            $this->link->send(Link::FAILED, $this->running ?? 0, payload: $body);
        }
    }

    private function sinceUs(float $began): int
    {
        return (int)round((microtime(true) - $began) * 1e6);
    }
}
