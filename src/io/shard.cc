#include "io/shard.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <thread>
#include <unordered_map>

#include "io/sync.h"
#include "sys/fault.h"

namespace mayfly::io {
namespace asio = boost::asio;
namespace {

using ErrorCode = boost::system::error_code;
using AnySocket = asio::basic_stream_socket<asio::generic::stream_protocol, asio::io_context::executor_type>;
using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, asio::io_context::executor_type>;

// Awaits readiness of a socket or descriptor, bounded by a deadline. `cancelled` (close) and the timer both end it early.
template <class Object>
struct Ready {
  Loop& loop;
  Object& object;
  typename Object::wait_type kind;
  Deadline deadline;
  StreamError error = StreamError::closed;
  bool ok = false;
  Loop::TimerId timer = 0;

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    if (!deadline.is_never()) {
      timer = loop.call_at(deadline.at_us, [this] {
        timer = 0;
        error = StreamError::timed_out;
        ErrorCode ignored;
        object.cancel(ignored);
      });
    }
    object.async_wait(kind, [this, waiting](ErrorCode result) {
      if (timer != 0) loop.cancel(timer);
      ok = !result && error != StreamError::timed_out;
      waiting.resume();
    });
  }
  std::expected<void, StreamError> await_resume() {
    if (ok) return {};
    return std::unexpected(error);
  }
};

class SocketStream final : public Stream {
 public:
  SocketStream(Loop& loop, AnySocket socket, std::string peer) : loop_(loop), socket_(std::move(socket)), peer_(std::move(peer)) {
    ErrorCode ignored;
    socket_.native_non_blocking(true, ignored);
  }

  Task<std::expected<size_t, StreamError>> read_some(std::span<char> buffer, Deadline deadline) override {
    // After a short read the socket is almost surely empty: waiting first saves one failing recv per request.
    bool wait_first = drained_;
    while (socket_.is_open()) {
      if (!wait_first) {
        ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
        if (got >= 0) {
          drained_ = static_cast<size_t>(got) < buffer.size();
          co_return static_cast<size_t>(got);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return std::unexpected(StreamError::reset);
      }
      wait_first = false;
      auto ready = co_await Ready<AnySocket>{loop_, socket_, AnySocket::wait_read, deadline};
      if (!ready) co_return std::unexpected(ready.error());
    }
    co_return std::unexpected(StreamError::closed);
  }

  Task<std::expected<void, StreamError>> write_all(std::string_view data, Deadline deadline) override {
    while (!data.empty()) {
      if (!socket_.is_open()) co_return std::unexpected(StreamError::closed);
      ssize_t sent = ::send(socket_.native_handle(), data.data(), data.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        data.remove_prefix(static_cast<size_t>(sent));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return std::unexpected(errno == EPIPE ? StreamError::closed : StreamError::reset);
      auto ready = co_await Ready<AnySocket>{loop_, socket_, AnySocket::wait_write, deadline};
      if (!ready) co_return std::unexpected(ready.error());
    }
    co_return std::expected<void, StreamError>{};
  }

  void shutdown_write() override {
    if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_WR);
  }
  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }
  std::string peer() const override { return peer_; }

 private:
  Loop& loop_;
  AnySocket socket_;
  std::string peer_;
  bool drained_ = false;
};

std::string peer_name(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0 || (address.ss_family != AF_INET && address.ss_family != AF_INET6)) return "local";
  asio::ip::tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), &address, size);
  endpoint.resize(size);
  return fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

// Out of descriptors or memory: give the kernel time to recover instead of spinning on accept.
constexpr int64_t kAcceptBackoffUs = 50 * kMicrosPerMilli;

class SocketListener final : public Listener {
 public:
  SocketListener(Loop& loop, asio::io_context& context, sys::Fd fd, uint16_t port) : loop_(loop), context_(context), descriptor_(context, fd.release()), port_(port) {
    ErrorCode ignored;
    descriptor_.native_non_blocking(true, ignored);
  }

  Task<std::unique_ptr<Stream>> accept() override {
    while (descriptor_.is_open()) {
      sys::Fd fd(::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) {
        sockaddr_storage address{};
        socklen_t size = sizeof address;
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
        if (address.ss_family != AF_UNIX) {
          int on = 1;
          ::setsockopt(fd.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
        }
        std::string peer = peer_name(fd.get());
        AnySocket socket(context_);
        socket.assign(asio::generic::stream_protocol(address.ss_family, 0), fd.release());
        co_return std::make_unique<SocketStream>(loop_, std::move(socket), std::move(peer));
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) {
        co_await sleep_us(loop_, kAcceptBackoffUs);
        continue;
      }
      co_await Ready<Descriptor>{loop_, descriptor_, Descriptor::wait_read, Deadline::never()};
    }
    co_return nullptr;
  }
  void close() override {
    ErrorCode ignored;
    descriptor_.close(ignored);
  }
  uint16_t port() const override { return port_; }

 private:
  Loop& loop_;
  asio::io_context& context_;
  Descriptor descriptor_;
  uint16_t port_;
};

}  // namespace

struct Shard::Impl {
  unsigned index;
  SystemClock clock;
  asio::io_context context{1};  // one thread runs it: Asio may skip its locks' contention paths
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  std::unordered_map<TimerId, std::unique_ptr<Timer>> timers;
  TimerId next_timer = 1;
};

Shard::Shard(unsigned index) : impl_(std::make_unique<Impl>(index)) {}
Shard::~Shard() = default;
unsigned Shard::index() const { return impl_->index; }
const Clock& Shard::clock() const { return impl_->clock; }

void Shard::run(Pin pin) {
  if (pin == Pin::yes) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(impl_->index % std::thread::hardware_concurrency(), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }
  impl_->context.run();
}
void Shard::stop() { impl_->context.stop(); }

void Shard::post(Work work) { asio::post(impl_->context, std::move(work)); }

Loop::TimerId Shard::call_at(int64_t at_us, Work work) {
  TimerId id = impl_->next_timer++;
  auto timer = std::make_unique<Timer>(impl_->context, std::chrono::steady_clock::time_point(std::chrono::microseconds(at_us)));
  timer->async_wait([this, id, work = std::move(work)](ErrorCode error) mutable {
    if (error || impl_->timers.erase(id) == 0) return;
    work();
  });
  impl_->timers.emplace(id, std::move(timer));
  return id;
}

bool Shard::cancel(TimerId timer) { return impl_->timers.erase(timer) > 0; }

std::unique_ptr<Listener> Shard::listen(const std::string& host, uint16_t port) {
  ErrorCode error;
  auto address = asio::ip::make_address(host, error);
  std::string name = fmt::format("{}:{}", host, port);
  if (error) throw sys::Fault("listen on", name, EINVAL);
  asio::ip::tcp::endpoint endpoint(address, port);
  sys::Fd fd(static_cast<int>(sys::check(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket", name)));
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sys::check(::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())), "bind", name);
  constexpr int kBacklog = 1024;
  sys::check(::listen(fd.get(), kBacklog), "listen", name);
  socklen_t size = static_cast<socklen_t>(endpoint.capacity());
  sys::check(::getsockname(fd.get(), endpoint.data(), &size), "getsockname", name);
  return std::make_unique<SocketListener>(*this, impl_->context, std::move(fd), endpoint.port());
}

std::unique_ptr<Listener> Shard::adopt_listener(sys::Fd fd) { return std::make_unique<SocketListener>(*this, impl_->context, std::move(fd), uint16_t{0}); }

std::unique_ptr<Stream> Shard::adopt_stream(sys::Fd fd, std::string peer) {
  AnySocket socket(impl_->context);
  socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd.release());
  return std::make_unique<SocketStream>(*this, std::move(socket), std::move(peer));
}

Task<std::expected<std::unique_ptr<Stream>, StreamError>> Shard::connect(std::string host, uint16_t port, Deadline deadline) {
  ErrorCode error;
  auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) co_return std::unexpected(StreamError::reset);
  asio::ip::tcp::endpoint endpoint(address, port);
  AnySocket socket(impl_->context);
  socket.open(asio::generic::stream_protocol(endpoint.protocol().family(), IPPROTO_TCP), error);
  if (error) co_return std::unexpected(StreamError::reset);
  socket.native_non_blocking(true, error);
  int on = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
  if (::connect(socket.native_handle(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) < 0) {
    if (errno != EINPROGRESS) co_return std::unexpected(StreamError::reset);
    auto ready = co_await Ready<AnySocket>{*this, socket, AnySocket::wait_write, deadline};
    if (!ready) co_return std::unexpected(ready.error());
    int failed = 0;
    socklen_t size = sizeof failed;
    ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed != 0) co_return std::unexpected(StreamError::reset);
  }
  co_return std::make_unique<SocketStream>(*this, std::move(socket), fmt::format("{}:{}", host, port));
}

Task<std::expected<void, StreamError>> Shard::wait_readable(int fd, Deadline deadline) {
  Descriptor descriptor(impl_->context, fd);
  auto ready = co_await Ready<Descriptor>{*this, descriptor, Descriptor::wait_read, deadline};
  descriptor.release();  // the caller owns it
  co_return ready;
}

}  // namespace mayfly::io
