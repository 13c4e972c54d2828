<?php
// Frames between the server and this process; the format is src/runtime/frame.h, and src/runtime/frame_test.cc holds the two equal.

namespace Mayfly;

final class Frame
{
    public function __construct(public int $kind, public int $retries, public int $call, public string $meta, public string $payload)
    {
    }
}

final class Link
{
    public const START = 1, READY = 2, CALL = 3, REPLY = 4, FAILED = 5, HEAD = 6, CHUNK = 7, HOOK = 8, IMPORTED = 9;
    public const OK = 0, HANDLED_ERROR = 1;
    public const MAX_PAYLOAD = 33 << 20;  // kMaxPayloadBytes of frame.h

    private const HEADER_SIZE = 24;
    private const READ_SIZE = 65536;        // one receive takes a whole call of usual size
    private const TIMEOUT_S = 2000000;      // PHP's streams must have one; in milliseconds it has to fit 31 bits

    /** @var resource */
    private $stream;
    private string $rest = '';

    public function __construct(int $descriptor)
    {
        $this->stream = fopen("php://fd/$descriptor", 'r+b');
        stream_set_timeout($this->stream, self::TIMEOUT_S);
        stream_set_chunk_size($this->stream, self::READ_SIZE);
        stream_set_read_buffer($this->stream, 0);
        stream_set_write_buffer($this->stream, 0);
    }

    // The next frame; null when the server is gone.
    public function receive(): ?Frame
    {
        if (!$this->fill(self::HEADER_SIZE)) {
            return null;
        }
        $head = unpack('Vpayload/Vmeta/Ckind/Cstatus/vretries/Vcall', $this->rest);
        $end = self::HEADER_SIZE + $head['meta'] + $head['payload'];
        if (!$this->fill($end)) {
            return null;
        }
        $meta = substr($this->rest, self::HEADER_SIZE, $head['meta']);
        $payload = substr($this->rest, self::HEADER_SIZE + $head['meta'], $head['payload']);
        $this->rest = substr($this->rest, $end);
        return new Frame($head['kind'], $head['retries'], $head['call'], $meta, $payload);
    }

    private function fill(int $size): bool
    {
        while (strlen($this->rest) < $size) {
            $data = fread($this->stream, max(self::READ_SIZE, $size - strlen($this->rest)));
            if (($data === '' || $data === false) && feof($this->stream)) {
                return false;
            }
            $this->rest .= $data;
        }
        return true;
    }

    public function send(int $kind, int $call = 0, int $status = self::OK, int $durationUs = 0, string $meta = '', string $payload = ''): void
    {
        $data = pack('VVCCvVP', strlen($payload), strlen($meta), $kind, $status, 0, $call, $durationUs) . $meta . $payload;
        for ($at = 0, $size = strlen($data); $at < $size; $at += $sent) {
            $sent = @fwrite($this->stream, $at === 0 ? $data : substr($data, $at));
            if ($sent === false || ($sent === 0 && feof($this->stream))) {
                exit(0);  // the server is gone
            }
        }
    }
}
