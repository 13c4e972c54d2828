#pragma once
// Shard: one thread, one loop, and all that lives on it (DESIGN 2). The real Loop, over Asio, which no other room sees.
// Listeners are per shard with SO_REUSEPORT: the kernel spreads connections, nothing is shared. A shard is made, started, and stopped
// by server/; stop() is called once every component on it has drained.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"
#include "sys/fd.h"

namespace mayfly::io {

// Accepts connections on one listening socket until closed.
class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection, or nullptr once closed.
  virtual Task<std::unique_ptr<Stream>> accept() = 0;
  virtual void close() = 0;
  virtual uint16_t port() const = 0;  // the bound TCP port; 0 for other families
};

class Shard final : public Loop {
 public:
  explicit Shard(unsigned index);
  ~Shard() override;

  // Runs the loop on the calling thread until stop(). Pins the thread to the usable core `index` % their number when `pin` is set.
  enum class Pin { no, yes };
  void run(Pin pin = Pin::no);
  void stop();  // any thread
  unsigned index() const;

  void post(Work work) override;
  TimerId call_at(int64_t at_us, Work work) override;
  bool cancel(TimerId timer) override;
  const Clock& clock() const override;

  // Binds host:port (port 0 = any free). Throws sys::Fault, with "address in use" naming the address.
  std::unique_ptr<Listener> listen(const std::string& host, uint16_t port);
  // Takes a socket that already listens, of any family (the door, DESIGN 4.10).
  std::unique_ptr<Listener> adopt_listener(sys::Fd fd);
  // Takes a connected stream socket or one end of a socketpair.
  std::unique_ptr<Stream> adopt_stream(sys::Fd fd, std::string peer);
  std::unique_ptr<PassingStream> adopt_passing_stream(sys::Fd fd, std::string peer);
  Task<std::expected<std::unique_ptr<Stream>, StreamError>> connect(std::string host, uint16_t port, Deadline deadline);
  // The same with a TCP socket that was made elsewhere, in another network namespace perhaps: non-blocking and not yet connected.
  Task<std::expected<std::unique_ptr<Stream>, StreamError>> connect(sys::Fd socket, std::string host, uint16_t port, Deadline deadline);
  // The numeric addresses of a host name, as this machine's resolver gives them; a numeric address is its own.
  Task<std::expected<std::vector<std::string>, StreamError>> resolve(std::string host, Deadline deadline);
  // Resumes when all that is ready now has been handled: for who gathers what many ask for and does it at once. This thread only.
  Task<void> turn();
  // Resumes when `fd` is readable (a pidfd, eventfd, pipe). The caller keeps `fd` open meanwhile.
  Task<std::expected<void, StreamError>> wait_readable(int fd, Deadline deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The cores that this process may use, by number: those of its first thread, which is no shard's and so is not pinned. At least one; fewer
// than the machine has under taskset or in a container with a cpuset.
std::vector<int> usable_cores();

}  // namespace mayfly::io
