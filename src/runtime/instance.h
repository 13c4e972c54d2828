#pragma once
// Instance: one sandboxed run of a function version (DESIGN 1). It takes calls one at a time (more when the function allows), keeps its
// process state between them, and ends by stop(), by a timeout, or by dying. InstanceFactory makes instances; for Python it keeps one
// zygote per function revision, which has imported the runtime's modules, and forks instances from it (DESIGN 4.8).
// All members run on the shard that made the instance.

#include <functional>
#include <memory>
#include <string>

#include "auth/identity.h"
#include "base/result.h"
#include "base/rng.h"
#include "functions/model.h"
#include "http/message.h"
#include "io/shard.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace mayfly::runtime {

enum class StartError {
  unsupported,   // no such runtime on this machine; the message says which there are
  sandbox,       // the kernel refused a step; the message names it and what is missing
  initializer,   // import or initializer failed: `body` of the failure is in the message as {errorMessage, errorType, stackTrace}
  timed_out,     // start or initializer exceeded initializationTimeout
  out_of_memory,
};

// Where the time of a start went, microseconds.
struct StartPhases {
  int64_t sandbox_us = 0;  // namespaces, root file system, cgroup; or taking one from a pool
  int64_t runtime_us = 0;  // the interpreter or program, until it was there to take its function
  int64_t import_us = 0;   // loading the function's code
  int64_t init_us = 0;     // its initializer
};

}  // namespace mayfly::runtime

namespace mayfly {

// Why there is no instance, and where its time went until then; zeros where the start was refused before it began.
template <>
struct Failure<runtime::StartError> {
  runtime::StartError code;
  std::string message;
  std::string hint;
  runtime::StartPhases phases{};
};

}  // namespace mayfly

namespace mayfly::runtime {

// The beginning of a reply that arrives piece by piece. The call goes on until `body` (or `tunnel`) has ended or was dropped.
struct Opening {
  std::string http;                    // HTTP functions: JSON {status, headers: {name: [value, ...]}}; empty for events
  std::unique_ptr<http::Body> body;    // null with a tunnel
  std::unique_ptr<io::Stream> tunnel;  // after status 101: bytes both ways (WebSocket)
};

// What a caller that can stream brings along; used on the instance's shard.
struct Streams {
  std::unique_ptr<http::Body> body;                    // the request's body instead of Call::payload; null: payload has it all
  std::move_only_function<void(Opening)> opened;       // called at most once; empty: the caller wants the reply whole
};

struct Call {
  std::string request_id;
  std::string payload;
  std::string http;  // dispatch::Invocation::http
  int retry_count = 0;
  auth::Credentials credentials;
  io::Deadline deadline;  // the function's timeout; when it passes the instance is killed
  std::shared_ptr<Streams> streams{};  // shared with the Invocation it comes from; null: whole payload, whole reply
};

struct Reply {
  enum class Kind {
    ok, handled_error, died, timed_out, out_of_memory,
    failed,       // the function answered that it cannot go on, or what is no answer: `body` has its words; the instance is not used again
    not_started,  // the instance ended before it took the call: nothing of it has run, and another instance may have it
  };
  Kind kind = Kind::ok;
  std::string body;  // empty once Streams::opened was called
  bool worded = false;  // of a call that got no answer: `body` is in the words of the function's contract and stands as it is
  std::string http;  // HTTP functions: JSON {status, headers: {name: [value, ...]}}
  int64_t run_us = 0;          // until the reply, or until its beginning when it was streamed
  int64_t reply_us = 0;        // of a streamed reply, from its beginning to its end
  int64_t memory_bytes = 0;  // peak of the instance
  int exit_status = 0;       // wait status when it died
  std::string last_words;    // of a process that died, where it could say why: {errorMessage, errorType, stackTrace}
};

class Instance {
 public:
  virtual ~Instance() = default;
  virtual const std::string& id() const = 0;
  virtual bool alive() const = 0;
  virtual io::Task<Reply> call(Call call) = 0;
  // For one that nobody calls: its pre-freeze hook runs, then its processes stop where they are until the next call or stop() (aliyun-fc.md
  // 5.1). Where they cannot be stopped the hook runs all the same. A call that comes meanwhile is served as ever.
  virtual io::Task<void> freeze() = 0;
  // Ends it: its pre-stop hook and a polite end first, SIGKILL at the deadline; returns when the process and what it left (cgroup, mounts)
  // are gone.
  virtual io::Task<void> stop(io::Deadline deadline) = 0;
  virtual StartPhases phases() const = 0;
};

// Receives what the function prints: whole lines where possible, at most kMaxPrintedBytes per call (the rest is counted and dropped).
using Printed = std::function<void(const std::string& instance_id, const std::string& request_id, std::string text)>;
constexpr size_t kMaxPrintedBytes = 1 << 20;

// What an instance needs besides its function: who it is for and where the platform answers.
struct StartContext {
  std::shared_ptr<const functions::Runnable> runnable;
  std::string account, region;
  auth::Credentials credentials;
  Printed printed;
};

class InstanceFactory {
 public:
  virtual ~InstanceFactory() = default;
  virtual io::Task<Expected<std::unique_ptr<Instance>, StartError>> start(StartContext context) = 0;
  // A first start of this function may follow soon: an interpreter is made ready for it, if it takes one and none is. Bounded by the
  // number of runtimes, not of functions.
  virtual void expect(const functions::Runnable&) {}
  // How much lies ready for starts to come: interpreters, forks, sandboxes.
  virtual size_t ready() const { return 0; }
  // Ends what starts now, and what is started from now on: nobody waits for it. Those starts fail.
  virtual void abandon_starts() {}
  // Drops what was made for a revision that is gone.
  virtual io::Task<void> forget(std::string key, uint64_t revision) = 0;
  virtual io::Task<void> stop() = 0;  // every zygote; instances are stopped by their owners before
};

// The door of a function's sandboxes is named after its revision, since an older one may still be draining.
std::string door_name(const std::string& key, uint64_t revision);  // "service/name@version#7"
std::string door_key(const std::string& door);                    // functions::Runnable::key() of a door's name

// A sandbox asks the server to answer on sockets made inside it (the door, DESIGN 4.10). server/ connects this to the HTTP server.
struct DoorSocket {
  sys::Fd listener;
  std::string scheme;  // "http" or "https"
};
class DoorKeeper {
 public:
  virtual ~DoorKeeper() = default;
  virtual void open(const std::string& door, DoorSocket socket) = 0;
  virtual void close(const std::string& door) = 0;
};

struct RuntimeOptions {
  std::string runtimes_folder;   // runtimes/ of the installation: python/bootstrap.py, ...
  std::string built_folder;      // what the build made of runtimes/: java/mayfly.jar, ...; without it there is no Java
  std::string libraries_folder;  // Python libraries every function may import (site-packages), read-only; may be absent
  std::string state_folder;      // scratch of the running server: roots, sockets
  std::string ca_certificate_pem;  // trusted inside
  uint16_t platform_port = 0;      // the server's own port, answered inside at 127.0.0.1:<port> too
  std::string account, region;     // of this installation
  std::string self_path = sys::self_path();  // a binary whose main() calls sandbox::init_main for "__sandbox-init"
  bool unsafe_no_sandbox = false;  // explicit, loud opt-out for machines whose kernel lacks namespaces
};
std::unique_ptr<InstanceFactory> make_instance_factory(io::Shard& shard, DoorKeeper& doors, RuntimeOptions options, Rng& rng);

}  // namespace mayfly::runtime
