#pragma once
// What a function that serves a port is told and asked, by its contract: the program, its port and environment; the request that a call
// becomes; what its answer means. Pure functions of the function and the call, read and tested without a sandbox.
//   fc         aliyun-fc.md 5.6: bootstrap or a command, port 9000, POST /invoke and /initialize, GET /pre-stop, x-fc-* headers
//   scf_web    tencent-scf.md T1.11: scf_bootstrap, port 9000
//   knative    knative-serving.md section 3: PORT (8080) and K_* in the environment, Forwarded headers, 504 "request timeout"
//   of_watchdog  openfaas.md O16.3, mode http: fprocess, the port of upstream_url, X-Duration-Seconds

#include <string>
#include <vector>

#include "http/client.h"
#include "runtime/command.h"
#include "runtime/plan.h"

namespace mayfly::runtime {

struct ServerProgram {
  std::vector<std::string> command;  // by absolute path
  uint16_t port = 0;
  Environment environment;
};
// unsupported or initializer: what is asked for cannot be run here, or the package does not have it.
Expected<ServerProgram, StartError> server_program(const StartContext& context, const RuntimeOptions& options, Contract contract);

// The parts of a request that are the same for every call of an instance.
http::Headers fixed_headers(const StartContext& context, Contract contract);

// `call` as a request, without its body. An HTTP call keeps its method, path, query and headers; an event is a POST of its own path.
http::ClientRequest request_of(const Call& call, const http::Headers& fixed, Contract contract);

// The request that a hook becomes: GET `path`, "/pre-stop" or "/pre-freeze".
http::ClientRequest hook_request(const std::string& path, const std::string& request_id, const auth::Credentials& credentials, const http::Headers& fixed);

// What an answer to a call means.
struct Verdict {
  Reply::Kind kind = Reply::Kind::ok;
  std::string http;  // {status, headers}; empty for events that went well
};
Verdict verdict_of(int status, const http::Headers& headers, bool is_event, Contract contract, int64_t run_us);

// The answer to a call whose server gave none in time, or broke off; a contract may have its own words. Kind::timed_out and Kind::failed
// otherwise.
Reply late_reply(Contract contract, int64_t run_us);

}  // namespace mayfly::runtime
