#pragma once
// ApiLink: the conversation with one program that asks for its calls over HTTP, in any of the three contracts (api_codec.h).
//
// A call waits here until the program asks for one ("next", a long poll), is handed out, and is over when the program answers it or its
// deadline passes. FC's programs may hold several at once and answer in any order; Lambda's and SCF's have one.
//   waiting --next--> running --response | error--> its Reply
//   waiting, the program ends --> not_started        running, the program ends --> died
//
// Routes. FC, under /2020-11-11: GET /runtime/invocation/next, POST /runtime/invocation/{id}/response and .../error. Lambda, under
// /2018-06-01: the same, and POST /runtime/init/error. SCF: POST /runtime/init/ready, GET /runtime/invocation/next,
// POST /runtime/invocation/response and /runtime/invocation/error; next repeated during a call gives the same call (T1.4).
//
// Shared, on one shard, by the Instance and by the requests that are being answered.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/api_codec.h"
#include "runtime/api_stream.h"
#include "runtime/process.h"

namespace mayfly::runtime {

class ApiLink {
 public:
  ApiLink(io::Shard& shard, StartContext context, Contract contract, std::shared_ptr<Process> process);

  struct Started {
    bool ok = false;
    std::string failure;  // as the program told it (Lambda's init/error); empty when it ended
  };
  // Until it asks for its first call, or says that it is ready (SCF); nullopt at the deadline.
  io::Task<std::optional<Started>> started(io::Deadline deadline) { co_return co_await started_.wait(deadline); }

  // At the deadline the program is killed, unless other calls run on it: then it is killed once they have ended, and takes no further call.
  io::Task<Reply> call(Call call);
  bool alive() const { return process_->alive() && !spoilt_; }  // it takes calls
  // The same for FC's hooks, without killing; nullopt at the deadline.
  io::Task<std::optional<Reply>> run(Call call, CallType type);
  bool idle() const { return waiting_.empty() && running_.empty() && !polls_.empty(); }  // it has nothing to do and has asked for more

  // One request of the program.
  io::Task<http::Response> answer(http::Request request);
  void ended();  // the program has

  Process& process() { return *process_; }

 private:
  struct Job {
    Job(io::Loop& loop, Call call, CallType type) : call(std::move(call)), type(type), reply(loop) {}
    Call call;
    CallType type;
    io::OneShot<Reply> reply;
    int64_t began_us = 0;     // 0: not handed out
    bool answering = false;   // its answer is arriving
    std::shared_ptr<StreamedReply> stream{};  // while it arrives piece by piece
  };
  using JobPtr = std::shared_ptr<Job>;  // by its caller, by running_, and by the request that answers it
  struct Poll {
    Poll(io::Loop& loop, http::Body* client) : client(client), woken(loop) {}
    http::Body* client;  // the request's, to ask whether anybody still waits
    io::Signal woken;
    JobPtr job;          // null: there will be none
  };

  io::Task<http::Response> next(http::Request request);
  io::Task<http::Response> take_response(std::string id, http::Request request);
  io::Task<http::Response> take_error(std::string id, http::Request request);
  io::Task<http::Response> take_stream(JobPtr job, http::Request request);
  io::Task<http::Response> take_init_error(http::Request request);
  http::Response take_ready();

  void hand_out();
  void drop_polls(bool all);
  http::Response head_of(Job& job) const;
  // The running job that an answer is for, claimed for it; else what to tell the program.
  std::expected<JobPtr, http::Response> claim(const std::string& id);
  http::Response not_held(const std::string& id) const;
  http::Response broken(const JobPtr& job, http::BodyError error, size_t limit);
  http::Response too_large(const JobPtr& job, size_t limit);
  Reply failed(int scf_code, std::string_view type, std::string_view message) const;
  Reply reply_of(const Job& job, std::string body, const http::Request& request) const;
  void finish(const JobPtr& job, Reply reply);
  bool holds(const JobPtr& job) const;
  io::Task<Reply> late(std::string id, int64_t began_us);
  bool calls_run() const;

  io::Shard& shard_;
  StartContext context_;
  Contract contract_;
  std::shared_ptr<Process> process_;  // shared with its tasks
  io::OneShot<Started> started_;
  bool ended_ = false, spoilt_ = false;  // spoilt: a call took too long
  std::deque<JobPtr> waiting_;
  std::map<std::string, JobPtr> running_;  // by request id
  std::deque<Poll*> polls_;                // oldest first
  std::string last_id_;                    // answered last
};

}  // namespace mayfly::runtime
