#pragma once
// Context: what the platform tells a call about itself, and the logger of the call. Views hold until the handler returns.

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace mayfly {

struct Credentials {  // temporary keys of the service's role; empty when it has none
  std::string_view access_key_id, access_key_secret, security_token;
};

struct FunctionAbout {
  std::string name, handler;
  int64_t memory_mb = 0, timeout_s = 0;
};

struct ServiceAbout {
  std::string name, log_project, log_store;
  std::string qualifier, version_id;  // version_id: empty for what is being edited
};

struct InstanceAbout {
  std::string id, region, account;
  FunctionAbout function;
  ServiceAbout service;
  int log_fd = 1;  // the platform reads the function's log from standard output
};

// Lines of a function's log: time, request id, level and the parts one after another. One write per line, so threads do not mix theirs.
class Log {
 public:
  Log(int fd, std::string_view request_id) : fd_(fd), request_id_(request_id) {}

  template <class... Parts> void debug(const Parts&... parts) const { line("DEBUG", parts...); }
  template <class... Parts> void info(const Parts&... parts) const { line("INFO", parts...); }
  template <class... Parts> void warning(const Parts&... parts) const { line("WARNING", parts...); }
  template <class... Parts> void error(const Parts&... parts) const { line("ERROR", parts...); }

 private:
  int fd_;
  std::string_view request_id_;

  template <class... Parts>
  void line(std::string_view level, const Parts&... parts) const {
    std::string text;
    (append(text, parts), ...);
    write(level, text);
  }
  template <class Part>
  static void append(std::string& text, const Part& part) {
    if constexpr (std::is_same_v<Part, bool>) {
      text += part ? "true" : "false";
    } else if constexpr (std::is_same_v<Part, char>) {
      text += part;
    } else if constexpr (std::is_arithmetic_v<Part>) {
      char digits[48];
      text.append(digits, std::to_chars(digits, digits + sizeof digits, part).ptr);
    } else {
      text += part;  // anything a string can be extended by
    }
  }
  void write(std::string_view level, std::string_view text) const;
};

class Context {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `keys`: id \0 secret \0 token.
  Context(const InstanceAbout& instance, std::string_view request_id, std::string_view keys, int retry_count, Time began)
      : log(instance.log_fd, request_id), instance_(instance), request_id_(request_id), keys_(keys), retry_count_(retry_count), began_(began) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Log log;

  std::string_view request_id() const { return request_id_; }  // an initializer and each run of a hook have their own
  int retry_count() const { return retry_count_; }             // how often an asynchronous call was tried before
  Credentials credentials() const;

  Time deadline() const { return began_ + std::chrono::seconds(instance_.function.timeout_s); }  // the instance is killed then
  std::chrono::milliseconds remaining() const;                                                     // until the deadline, at least 0

  const FunctionAbout& function() const { return instance_.function; }
  const ServiceAbout& service() const { return instance_.service; }
  const std::string& instance_id() const { return instance_.id; }
  const std::string& region() const { return instance_.region; }
  const std::string& account() const { return instance_.account; }

 private:
  const InstanceAbout& instance_;
  std::string_view request_id_, keys_;
  int retry_count_;
  Time began_;
};

}  // namespace mayfly
