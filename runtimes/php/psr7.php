<?php
// HTTP messages after PSR-7, under the names the vendor's runtime has them (RingCentral\Psr7, GuzzleHttp\Psr7) where a function ships
// none of its own. Parameters are untyped and results typed, which satisfies the interfaces of versions 1 and 2 of the standard alike.

namespace Mayfly\Psr7;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Message\StreamInterface;
use Psr\Http\Message\UriInterface;

// A stream of bytes in memory, or of what a resource gives.
final class Stream implements StreamInterface
{
    /** @var resource|null */
    private $resource;

    public function __construct($content = '')
    {
        if (is_resource($content)) {
            $this->resource = $content;
            return;
        }
        $this->resource = fopen('php://memory', 'r+b');
        if ((string)$content !== '') {
            fwrite($this->resource, (string)$content);
            rewind($this->resource);
        }
    }

    public function __toString(): string
    {
        if ($this->isSeekable()) {
            $this->rewind();
        }
        return $this->getContents();
    }

    public function close(): void
    {
        if ($this->resource) {
            fclose($this->resource);
        }
        $this->resource = null;
    }

    public function detach()
    {
        [$resource, $this->resource] = [$this->resource, null];
        return $resource;
    }

    public function getSize(): ?int { return $this->isSeekable() ? (fstat($this->resource)['size'] ?? null) : null; }
    public function tell(): int { return (int)ftell($this->resource); }
    public function eof(): bool { return !$this->resource || feof($this->resource); }
    public function isSeekable(): bool { return (bool)$this->getMetadata('seekable'); }
    public function seek($offset, $whence = SEEK_SET): void { fseek($this->resource, $offset, $whence); }
    public function rewind(): void { $this->seek(0); }
    public function isWritable(): bool { return (bool)strpbrk((string)$this->getMetadata('mode'), 'wax+'); }
    public function write($string): int { return (int)fwrite($this->resource, $string); }
    public function isReadable(): bool { return (bool)strpbrk((string)$this->getMetadata('mode'), 'r+'); }
    public function read($length): string { return (string)fread($this->resource, $length); }
    public function getContents(): string { return $this->resource ? (string)stream_get_contents($this->resource) : ''; }

    public function getMetadata($key = null)
    {
        $all = $this->resource ? stream_get_meta_data($this->resource) : [];
        return $key === null ? $all : ($all[$key] ?? null);
    }
}

final class Uri implements UriInterface
{
    private array $parts;

    public function __construct($uri = '')
    {
        // A path may begin with two slashes, which would be read as a host.
        $parsed = str_starts_with($uri, '/') ? [] : (parse_url($uri) ?: []);
        if (!$parsed) {
            [$path, $query] = explode('?', $uri, 2) + ['', ''];
            $parsed = ['path' => $path, 'query' => $query];
        }
        $this->parts = $parsed + ['scheme' => '', 'user' => '', 'pass' => null, 'host' => '', 'port' => null, 'path' => '', 'query' => '', 'fragment' => ''];
    }

    public function getScheme(): string { return strtolower($this->parts['scheme']); }
    public function getUserInfo(): string { return $this->parts['user'] . ($this->parts['pass'] === null ? '' : ':' . $this->parts['pass']); }
    public function getHost(): string { return strtolower($this->parts['host']); }
    public function getPort(): ?int { return $this->parts['port']; }
    public function getPath(): string { return $this->parts['path']; }
    public function getQuery(): string { return $this->parts['query']; }
    public function getFragment(): string { return $this->parts['fragment']; }
    public function withScheme($scheme): static { return $this->with(['scheme' => $scheme]); }
    public function withUserInfo($user, $password = null): static { return $this->with(['user' => $user, 'pass' => $password]); }
    public function withHost($host): static { return $this->with(['host' => $host]); }
    public function withPort($port): static { return $this->with(['port' => $port]); }
    public function withPath($path): static { return $this->with(['path' => $path]); }
    public function withQuery($query): static { return $this->with(['query' => $query]); }
    public function withFragment($fragment): static { return $this->with(['fragment' => $fragment]); }

    public function getAuthority(): string
    {
        $user = $this->getUserInfo();
        return ($user === '' ? '' : "$user@") . $this->getHost() . ($this->getPort() === null ? '' : ':' . $this->getPort());
    }

    public function __toString(): string
    {
        $authority = $this->getAuthority();
        return ($this->getScheme() === '' ? '' : $this->getScheme() . ':') . ($authority === '' ? '' : "//$authority") . $this->getPath()
            . ($this->getQuery() === '' ? '' : '?' . $this->getQuery()) . ($this->getFragment() === '' ? '' : '#' . $this->getFragment());
    }

    private function with(array $parts): static
    {
        $copy = clone $this;
        $copy->parts = $parts + $copy->parts;
        return $copy;
    }
}

trait Message
{
    private array $headers = [];  // lower-cased name -> [name, values]
    private StreamInterface $body;
    private string $version = '1.1';

    private function setMessage(array $headers, $body, string $version): void
    {
        foreach ($headers as $name => $values) {
            $this->headers[strtolower((string)$name)] = [(string)$name, array_map(strval(...), array_values((array)$values))];
        }
        $this->body = $body instanceof StreamInterface ? $body : new Stream($body ?? '');
        $this->version = $version;
    }

    private function copy(callable $change): static
    {
        $copy = clone $this;
        $change($copy);
        return $copy;
    }

    public function getProtocolVersion(): string { return $this->version; }
    public function withProtocolVersion($version): static { return $this->copy(fn ($it) => $it->version = $version); }
    public function getHeaders(): array { return array_column($this->headers, 1, 0); }
    public function hasHeader($name): bool { return isset($this->headers[strtolower($name)]); }
    public function getHeader($name): array { return $this->headers[strtolower($name)][1] ?? []; }
    public function getHeaderLine($name): string { return implode(', ', $this->getHeader($name)); }
    public function withHeader($name, $value): static { return $this->copy(fn ($it) => $it->headers[strtolower($name)] = [$name, array_map(strval(...), (array)$value)]); }
    public function withAddedHeader($name, $value): static { return $this->withHeader($name, [...$this->getHeader($name), ...(array)$value]); }
    public function getBody(): StreamInterface { return $this->body; }
    public function withBody(StreamInterface $body): static { return $this->copy(fn ($it) => $it->body = $body); }

    public function withoutHeader($name): static
    {
        return $this->copy(function ($it) use ($name) {
            unset($it->headers[strtolower($name)]);
        });
    }
}

class Request implements \Psr\Http\Message\RequestInterface
{
    use Message;

    private UriInterface $uri;
    private ?string $target = null;

    public function __construct(private string $method, $uri, array $headers = [], $body = null, string $version = '1.1')
    {
        $this->uri = $uri instanceof UriInterface ? $uri : new Uri($uri);
        $this->setMessage($headers, $body, $version);
    }

    public function getRequestTarget(): string
    {
        $query = $this->uri->getQuery();
        return $this->target ?? (($this->uri->getPath() ?: '/') . ($query === '' ? '' : "?$query"));
    }

    public function withRequestTarget($requestTarget): static { return $this->copy(fn ($it) => $it->target = $requestTarget); }
    public function getMethod(): string { return $this->method; }
    public function withMethod($method): static { return $this->copy(fn ($it) => $it->method = $method); }
    public function getUri(): UriInterface { return $this->uri; }
    public function withUri(UriInterface $uri, $preserveHost = false): static { return $this->copy(fn ($it) => $it->uri = $uri); }
}

final class ServerRequest extends Request implements ServerRequestInterface
{
    private array $cookies = [], $query = [], $files = [], $attributes = [];
    private mixed $parsed = null;

    public function __construct(string $method, $uri, array $headers = [], $body = null, string $version = '1.1', private array $server = [])
    {
        parent::__construct($method, $uri, $headers, $body, $version);
    }

    public function getServerParams(): array { return $this->server; }
    public function getCookieParams(): array { return $this->cookies; }
    public function withCookieParams(array $cookies): static { return $this->change('cookies', $cookies); }
    public function getQueryParams(): array { return $this->query; }
    public function withQueryParams(array $query): static { return $this->change('query', $query); }
    public function getUploadedFiles(): array { return $this->files; }
    public function withUploadedFiles(array $uploadedFiles): static { return $this->change('files', $uploadedFiles); }
    public function getParsedBody() { return $this->parsed; }
    public function withParsedBody($data): static { return $this->change('parsed', $data); }
    public function getAttributes(): array { return $this->attributes; }
    public function getAttribute($name, $default = null) { return $this->attributes[$name] ?? $default; }
    public function withAttribute($name, $value): static { return $this->change('attributes', [$name => $value] + $this->attributes); }
    public function withoutAttribute($name): static { return $this->change('attributes', array_diff_key($this->attributes, [$name => 0])); }

    private function change(string $what, mixed $value): static
    {
        $copy = clone $this;
        $copy->$what = $value;
        return $copy;
    }
}

final class Response implements ResponseInterface
{
    use Message;

    public function __construct(private int $status = 200, array $headers = [], $body = null, string $version = '1.1', private string $reason = '')
    {
        $this->setMessage($headers, $body, $version);
    }

    public function getStatusCode(): int { return $this->status; }
    public function getReasonPhrase(): string { return $this->reason; }

    public function withStatus($code, $reasonPhrase = ''): static
    {
        return $this->copy(function ($it) use ($code, $reasonPhrase) {
            [$it->status, $it->reason] = [$code, $reasonPhrase];
        });
    }
}
