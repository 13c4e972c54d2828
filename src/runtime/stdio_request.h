#pragma once
// What a process that is started per request is told (openfaas.md O16.2 and O16.3), and how the watchdogs that start it are configured.
// Pure functions of the environment and of a call.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace mayfly::runtime {

enum class StdioMode {
  classic,      // O16.2
  serializing,  // O16.3: the whole output, then the answer
  streaming,    // O16.3: the output as it comes
};

struct StdioSettings {
  StdioMode mode = StdioMode::classic;
  std::vector<std::string> command;  // fprocess
  int64_t exec_timeout_us = 0;       // 0: none
  int64_t max_inflight = 0;          // 0: no limit
  bool combine_output = true;        // classic: stderr is part of the body
  bool cgi_headers = true;
  bool marshal_request = false;      // stdin is {"header", "body": {"raw": base64}}
  bool prefix_logs = true;
  std::string content_type;          // empty: the request's, or application/octet-stream
};
// `mode` in the environment chooses among O16.3's; for classic there is no choice.
StdioSettings stdio_settings(const std::map<std::string, std::string>& environment, bool classic);
// A Go duration ("1m30s", "500ms") or whole seconds ("30"), in microseconds; `fallback_us` for anything else.
int64_t go_duration_us(std::string_view text, int64_t fallback_us);

struct StdioRequest {
  std::string method = "POST", path = "/", query, host;  // of an event: what the defaults say
  http::Headers headers;
};
StdioRequest stdio_request(std::string_view http);  // runtime::Call::http

// "NAME=value": Http_Method, Http_Path, Http_<Header>, ...
std::vector<std::string> request_environment(const StdioRequest& request, size_t body_bytes, const StdioSettings& settings);
std::string marshalled(const StdioRequest& request, std::string_view body);

}  // namespace mayfly::runtime
