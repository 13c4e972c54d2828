#include "io/shard.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <thread>

#include "io/sync.h"
#include "io/timer_queue.h"
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

// Reads go through the reactor (async_read_some): after a short read it knows that the socket is empty and just waits, which makes one
// recv and no epoll_ctl per request. Deadlines are lazy: one timer per stream, never later than the pending operations' deadlines, that is
// moved only when it fires; on a kept-alive connection refreshing a deadline costs a store.
class SocketStream : public PassingStream {
 public:
  SocketStream(Loop& loop, AnySocket socket, std::string peer) : loop_(loop), socket_(std::move(socket)), peer_(std::move(peer)) {
    ErrorCode ignored;
    socket_.native_non_blocking(true, ignored);
  }
  ~SocketStream() override {
    if (timer_ != 0) loop_.cancel(timer_);
  }

  Task<std::expected<size_t, StreamError>> read_some(std::span<char> buffer, Deadline deadline) override {
    while (socket_.is_open()) {
      read_ = {deadline.at_us};
      Read read{*this, buffer};
      ErrorCode result = co_await read;
      bool timed_out = std::exchange(read_, {}).timed_out;
      if (!result) co_return read.got;
      if (result == asio::error::eof) co_return size_t{0};
      if (timed_out) co_return std::unexpected(StreamError::timed_out);
      if (result != asio::error::operation_aborted) co_return std::unexpected(StreamError::reset);
      // Else closed, or the other direction timed out and cancelled both: then once more.
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
      write_ = {deadline.at_us};
      ErrorCode result = co_await SocketReady{*this, AnySocket::wait_write, write_};
      if (std::exchange(write_, {}).timed_out) co_return std::unexpected(StreamError::timed_out);
      if (result && result != asio::error::operation_aborted) co_return std::unexpected(StreamError::reset);
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
  void abort() override {
    linger at_once{.l_onoff = 1, .l_linger = 0};
    if (socket_.is_open()) ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  bool peer_gone() override {
    char next;
    ssize_t got = ::recv(socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  }
  std::string peer() const override { return peer_; }

  Task<std::expected<void, StreamError>> write_with(std::string_view data, int descriptor, Deadline deadline) override {
    while (true) {
      if (!socket_.is_open()) co_return std::unexpected(StreamError::closed);
      ssize_t sent = send_with(data, descriptor);
      if (sent >= 0) co_return co_await write_all(data.substr(static_cast<size_t>(sent)), deadline);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return std::unexpected(errno == EPIPE ? StreamError::closed : StreamError::reset);
      write_ = {deadline.at_us};
      ErrorCode result = co_await SocketReady{*this, AnySocket::wait_write, write_};
      if (std::exchange(write_, {}).timed_out) co_return std::unexpected(StreamError::timed_out);
      if (result && result != asio::error::operation_aborted) co_return std::unexpected(StreamError::reset);
    }
  }
  int take_descriptor() override { return -1; }

 protected:
  ssize_t send_with(std::string_view data, int descriptor) {
    iovec part{const_cast<char*>(data.data()), data.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // An operation in progress in one direction; none when it has no deadline.
  struct Pending {
    int64_t deadline_us = INT64_MAX;
    bool timed_out = false;
  };
  struct Read {
    SocketStream& stream;
    std::span<char> buffer;
    size_t got = 0;
    ErrorCode error{};
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      stream.watch(stream.read_.deadline_us);
      stream.socket_.async_read_some(asio::buffer(buffer.data(), buffer.size()), [this, waiting](ErrorCode result, size_t size) {
        error = result;
        got = size;
        waiting.resume();
      });
    }
    ErrorCode await_resume() { return error; }
  };
  // The socket being ready for `what`, within the deadline of `pending`.
  struct SocketReady {
    SocketStream& stream;
    AnySocket::wait_type what;
    Pending& pending;
    ErrorCode error{};
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      stream.watch(pending.deadline_us);
      stream.socket_.async_wait(what, [this, waiting](ErrorCode result) {
        error = result;
        waiting.resume();
      });
    }
    ErrorCode await_resume() { return error; }
  };

  // Makes sure that the timer fires no later than `deadline_us`.
  void watch(int64_t deadline_us) {
    if (deadline_us >= timer_at_us_) return;
    if (timer_ != 0) loop_.cancel(timer_);
    timer_at_us_ = deadline_us;
    timer_ = loop_.call_at(deadline_us, [this] { expire(); });
  }
  void expire() {
    timer_ = 0;
    timer_at_us_ = INT64_MAX;
    int64_t now_us = loop_.now_us();
    bool any = false;
    for (Pending* pending : {&read_, &write_}) {
      if (pending->deadline_us <= now_us) {
        any = pending->timed_out = true;
      } else {
        watch(pending->deadline_us);
      }
    }
    ErrorCode ignored;
    if (any) socket_.cancel(ignored);
  }

  Loop& loop_;
  AnySocket socket_;
  std::string peer_;
  Pending read_, write_;
  Loop::TimerId timer_ = 0;
  int64_t timer_at_us_ = INT64_MAX;  // INT64_MAX when no timer runs
};

// Reads by recvmsg, so that the kernel hands over what was passed along.
class PassingSocket final : public SocketStream {
 public:
  using SocketStream::SocketStream;

  Task<std::expected<size_t, StreamError>> read_some(std::span<char> buffer, Deadline deadline) override {
    while (socket_.is_open()) {
      if (!std::exchange(drained_, false)) {
        ssize_t got = receive(buffer);
        if (received_.size() > kMaxUntakenDescriptors) co_return std::unexpected(StreamError::reset);
        drained_ = got > 0 && static_cast<size_t>(got) < buffer.size();
        if (got >= 0) co_return static_cast<size_t>(got);
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return std::unexpected(StreamError::reset);
      }
      read_ = {deadline.at_us};
      ErrorCode result = co_await SocketReady{*this, AnySocket::wait_read, read_};
      if (std::exchange(read_, {}).timed_out) co_return std::unexpected(StreamError::timed_out);
      if (result && result != asio::error::operation_aborted) co_return std::unexpected(StreamError::reset);
    }
    co_return std::unexpected(StreamError::closed);
  }
  int take_descriptor() override {
    if (received_.empty()) return -1;
    int fd = received_.front().release();
    received_.pop_front();
    return fd;
  }

 private:
  ssize_t receive(std::span<char> buffer) {
    iovec part{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxUntakenDescriptors * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = ::recvmsg(socket_.native_handle(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0) return got;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      for (size_t at = 0; at + CMSG_LEN(sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
        received_.emplace_back(fd);
      }
    }
    return got;
  }

  std::deque<sys::Fd> received_;  // oldest first
  bool drained_ = false;          // the last read took all there was: it would only be told so by the next
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
  // One thread runs the loop: the reactor's locks are not needed, the queue's are, because post() comes from other threads.
  asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  std::deque<Work> own;            // posted by this very thread: run before it looks at the sockets again, which is a system call
  TimerQueue timers;
  Timer alarm{context};            // fires for the first of `timers`
  int64_t alarm_us = INT64_MAX;  // what it is set to

  // After every handler. The order of one thread's posts is kept, which is all that can be told. Work that posts work must not starve the
  // sockets: after kOwnBatch of them it is their turn.
  void run_own() {
    constexpr int kOwnBatch = 16;
    for (int done = 0; !own.empty() && !context.stopped(); ++done) {
      if (done == kOwnBatch) return asio::post(context, [] {});
      Work work = std::move(own.front());
      own.pop_front();
      work();
    }
  }

  void set_alarm() {
    if (timers.next_us() >= alarm_us) return;
    alarm_us = timers.next_us();
    constexpr int64_t kLatest = INT64_MAX / 2000;  // the clock counts nanoseconds
    alarm.expires_at(std::chrono::steady_clock::time_point(std::chrono::microseconds(std::min(alarm_us, kLatest))));
    alarm.async_wait([this](ErrorCode error) {
      if (!error) ring();  // else it was set anew
    });
  }
  void ring() {
    alarm_us = INT64_MAX;
    int64_t now_us = clock.mono_us();  // once: a timer that adds an overdue one must not starve the sockets
    while (Work work = timers.take_due(now_us)) work();
    set_alarm();
  }
};

namespace {
thread_local const void* running = nullptr;  // the Shard::Impl that this thread runs
}

std::vector<int> usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(::getpid(), sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
  if (cores.empty()) cores.push_back(0);
  return cores;
}

Shard::Shard(unsigned index) : impl_(std::make_unique<Impl>(index)) {}
Shard::~Shard() = default;
unsigned Shard::index() const { return impl_->index; }
const Clock& Shard::clock() const { return impl_->clock; }

void Shard::run(Pin pin) {
  if (pin == Pin::yes) {
    cpu_set_t set;
    CPU_ZERO(&set);
    auto cores = usable_cores();
    CPU_SET(static_cast<size_t>(cores[impl_->index % cores.size()]), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  }
  running = impl_.get();
  while (impl_->context.run_one() != 0) impl_->run_own();
  running = nullptr;
}
void Shard::stop() { impl_->context.stop(); }

void Shard::post(Work work) {
  if (running == impl_.get()) return impl_->own.push_back(std::move(work));
  asio::post(impl_->context, std::move(work));
}

Loop::TimerId Shard::call_at(int64_t at_us, Work work) {
  TimerId id = impl_->timers.add(at_us, std::move(work));
  impl_->set_alarm();
  return id;
}

bool Shard::cancel(TimerId timer) { return impl_->timers.cancel(timer); }

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

std::unique_ptr<PassingStream> Shard::adopt_passing_stream(sys::Fd fd, std::string peer) {
  AnySocket socket(impl_->context);
  socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd.release());
  return std::make_unique<PassingSocket>(*this, std::move(socket), std::move(peer));
}

Task<std::expected<std::unique_ptr<Stream>, StreamError>> Shard::connect(std::string host, uint16_t port, Deadline deadline) {
  int family = host.find(':') == host.npos ? AF_INET : AF_INET6;
  sys::Fd made(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!made) co_return std::unexpected(StreamError::reset);
  co_return co_await connect(std::move(made), std::move(host), port, deadline);
}

Task<std::expected<std::unique_ptr<Stream>, StreamError>> Shard::connect(sys::Fd made, std::string host, uint16_t port, Deadline deadline) {
  ErrorCode error;
  auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) co_return std::unexpected(StreamError::reset);
  asio::ip::tcp::endpoint endpoint(address, port);
  AnySocket socket(impl_->context);
  socket.assign(asio::generic::stream_protocol(endpoint.protocol().family(), IPPROTO_TCP), made.release(), error);
  if (error) co_return std::unexpected(StreamError::reset);
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

Task<std::expected<std::vector<std::string>, StreamError>> Shard::resolve(std::string host, Deadline deadline) {
  using Addresses = std::expected<std::vector<std::string>, StreamError>;
  // Shared with Asio's handler, which comes after the deadline too.
  auto found = std::make_shared<OneShot<Addresses>>(*this);
  auto resolver = std::make_shared<asio::ip::tcp::resolver>(impl_->context);
  resolver->async_resolve(host, "", [found, resolver](const ErrorCode& error, const asio::ip::tcp::resolver::results_type& results) {
    if (error) return found->set(std::unexpected(StreamError::reset));
    std::vector<std::string> addresses;
    for (const auto& each : results) addresses.push_back(each.endpoint().address().to_string());
    found->set(std::move(addresses));
  });
  auto answer = co_await found->wait(deadline);
  if (!answer) resolver->cancel();
  co_return answer ? std::move(*answer) : Addresses(std::unexpected(StreamError::timed_out));
}

namespace {
// Asio runs what is posted to it behind the handlers of all sockets that it found ready.
struct Turn {
  asio::io_context& context;
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { asio::post(context, [waiting] { waiting.resume(); }); }
  void await_resume() {}
};
}  // namespace

Task<void> Shard::turn() { co_await Turn{impl_->context}; }

Task<std::expected<void, StreamError>> Shard::wait_readable(int fd, Deadline deadline) {
  Descriptor descriptor(impl_->context, fd);
  auto ready = co_await Ready<Descriptor>{*this, descriptor, Descriptor::wait_read, deadline};
  descriptor.release();  // the caller owns it
  co_return ready;
}

}  // namespace mayfly::io
