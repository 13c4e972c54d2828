#pragma once
// HttpInstance: a program that serves a port in its sandbox, as an instance. Calls become requests (http_contract.h) over connections that
// are kept; as many at once as the function allows. Bodies stream both ways when the caller brings Streams: a request's as it comes, a
// reply's from its first byte on, each held back by the slower side; an answer of 101 becomes a tunnel.
//
// How a call ends without an answer: its connection could not be made -> not_started; the deadline -> timed_out, and the program is killed
// unless other calls are running on it, which it finishes; the connection broke -> died or out_of_memory when the program has ended, else
// failed. After `failed` and `timed_out` the dispatcher uses the instance no more.

#include <memory>
#include <string>

#include "functions/lifecycle.h"
#include "http/client.h"
#include "runtime/host.h"
#include "runtime/runtimes.h"

namespace mayfly::runtime {

class HttpInstance final : public Instance {
 public:
  struct Parts {
    Host& host;
    std::shared_ptr<Process> process;
    std::unique_ptr<http::HttpClient> client;
    http::Headers fixed_headers;
    Contract contract;
    auth::Credentials credentials;  // the last ones seen, for hooks
    std::optional<functions::Hook> pre_stop, pre_freeze;
  };
  explicit HttpInstance(Parts parts) : parts_(std::move(parts)) {}
  ~HttpInstance() override;

  const std::string& id() const override { return parts_.process->id(); }
  bool alive() const override { return parts_.process->alive() && !spoilt_; }
  io::Task<Reply> call(Call call) override;
  io::Task<void> freeze() override;
  io::Task<void> stop(io::Deadline deadline) override;
  StartPhases phases() const override { return phases_; }

  // POST /initialize, before the first call: nothing, or the words of its failure.
  io::Task<Expected<void, StartError>> initialize(const StartContext& context, io::Deadline deadline);
  http::HttpClient& client() { return *parts_.client; }
  void set_phases(StartPhases phases) { phases_ = phases; }

 private:
  io::Task<Expected<void, StartError>> post_initialize(const StartContext& context, std::string request_id, io::Deadline deadline);
  io::Task<void> run(std::string_view name, std::string path, functions::Hook hook);
  io::Task<Reply> exchange(Call& call, int64_t began_us);
  io::Task<Reply> whole(Call& call, http::ClientResponse answer, Reply reply, int64_t began_us);
  io::Task<Reply> streamed(Call& call, http::ClientResponse answer, Reply reply, int64_t began_us);
  io::Task<Reply> tunnelled(Call& call, http::ClientResponse answer, Reply reply);
  io::Task<Reply> no_answer(http::ClientError error, int64_t began_us);
  io::Task<Reply> broken(int64_t began_us, std::string what);
  io::Task<Reply> late(int64_t began_us);
  int64_t since(int64_t began_us) const { return parts_.host.shard().now_us() - began_us; }

  Parts parts_;
  StartPhases phases_;
  size_t busy_ = 0;
  bool spoilt_ = false;  // takes no further call
};

}  // namespace mayfly::runtime
