<?php
// $GLOBALS['fcLogger']: entries `<ISO time> <request id> [LEVEL] text` on standard output (aliyun-fc.md 5.8).

namespace Mayfly;

final class Logger
{
    private const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

    public string $requestId = '';
    private int $least = 0;

    public function setLevel(string $level): void
    {
        $this->least = $this->rank($level);
    }

    public function log(string $level, mixed $message, array $context = []): void
    {
        if ($this->rank($level) < $this->least) {
            return;
        }
        $now = \DateTimeImmutable::createFromFormat('U.u', sprintf('%.6F', microtime(true)))->format('Y-m-d\TH:i:s.v\Z');
        $text = is_string($message) ? $message : (json_encode($message, JSON_PARTIAL_OUTPUT_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES) ?: '');
        foreach ($context as $name => $value) {
            $text = is_scalar($value) ? str_replace('{' . $name . '}', (string)$value, $text) : $text;
        }
        fwrite(\STDOUT, "$now $this->requestId [" . strtoupper($level) . "] $text\n");
    }

    public function debug(mixed $message, array $context = []): void { $this->log('debug', $message, $context); }
    public function info(mixed $message, array $context = []): void { $this->log('info', $message, $context); }
    public function notice(mixed $message, array $context = []): void { $this->log('notice', $message, $context); }
    public function warning(mixed $message, array $context = []): void { $this->log('warning', $message, $context); }
    public function warn(mixed $message, array $context = []): void { $this->log('warning', $message, $context); }
    public function error(mixed $message, array $context = []): void { $this->log('error', $message, $context); }
    public function critical(mixed $message, array $context = []): void { $this->log('critical', $message, $context); }
    public function alert(mixed $message, array $context = []): void { $this->log('alert', $message, $context); }
    public function emergency(mixed $message, array $context = []): void { $this->log('emergency', $message, $context); }

    private function rank(string $level): int
    {
        $found = array_search(strtolower($level), self::LEVELS, true);
        return $found === false ? 1 : $found;
    }
}
