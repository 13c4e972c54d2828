#include "runtime/stdio_runner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <list>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/json.h"
#include "runtime/frame.h"
#include "runtime/stdio_process.h"
#include "runtime/stdio_request.h"
#include "sys/fault.h"
#include "sys/file.h"

extern char** environ;  // POSIX has no header for it

namespace mayfly::runtime {
namespace {

constexpr int kFrames = 3;
constexpr size_t kMaxOutputBytes = kMaxPayloadBytes - 4096;  // of one process, in memory; streaming has no limit
constexpr std::string_view kHealthPath = "/_/health";

struct Run {
  uint32_t call = 0;
  StdioRequest request;
  std::unique_ptr<StdioProcess> process;
  int64_t began_us = 0;
  bool opened = false;  // a streamed reply's head is out
  uint64_t sent_bytes = 0;
};

class Runner {
 public:
  Runner(StdioSettings settings, std::vector<std::string> environment) : settings_(std::move(settings)), environment_(std::move(environment)) {}
  int run();

 private:
  bool read_frames();
  void take(const FrameHeader& header, std::string_view meta, std::string_view payload);
  void begin(uint32_t call, std::string_view http, std::string_view body);
  void advance(Run& run);
  void finish(Run& run);
  void finish_classic(Run& run, const std::string& end, bool timed_out);
  int timeout_ms() const;
  void kill_late();

  void answer(const Run& run, int status, std::string body, std::string content_type = "text/plain; charset=utf-8");
  void send(FrameKind kind, uint32_t call, std::string_view meta, std::string_view payload, int64_t took_us = 0);
  std::string head(const Run& run, int status, const std::string& content_type) const;
  std::string content_type_of(const Run& run) const;
  void log(std::string_view text) const;
  void log_errors(Run& run) const;
  int64_t now_us() const { return clock_.mono_us(); }

  const StdioSettings settings_;
  const std::vector<std::string> environment_;
  SystemClock clock_;
  std::string inbox_;
  std::list<Run> runs_;
};

std::string seconds(int64_t us) { return fmt::format("{:f}", static_cast<double>(us) / kMicrosPerSecond); }

void Runner::log(std::string_view text) const {
  time_t now = static_cast<time_t>(clock_.wall_us() / kMicrosPerSecond);
  tm parts{};
  ::gmtime_r(&now, &parts);
  char stamp[32];
  size_t size = ::strftime(stamp, sizeof stamp, "%Y/%m/%d %H:%M:%S ", &parts);
  std::string line = std::string(stamp, size) + std::string(text) + "\n";
  (void)!::write(1, line.data(), line.size());
}

void Runner::send(FrameKind kind, uint32_t call, std::string_view meta, std::string_view payload, int64_t took_us) {
  sys::write_all(kFrames, encode_frame({.kind = kind, .call = call, .duration_us = static_cast<uint64_t>(std::max<int64_t>(0, took_us))}, meta, payload), "frames");
}

std::string Runner::head(const Run& run, int status, const std::string& content_type) const {
  json::object headers{{"Content-Type", content_type}, {"X-Duration-Seconds", seconds(now_us() - run.began_us)}};
  return to_text(json::object{{"status", status}, {"headers", std::move(headers)}});
}

void Runner::answer(const Run& run, int status, std::string body, std::string content_type) {
  send(FrameKind::reply, run.call, head(run, status, content_type), body, now_us() - run.began_us);
}

std::string Runner::content_type_of(const Run& run) const {
  if (!settings_.content_type.empty()) return settings_.content_type;
  std::string own = settings_.mode == StdioMode::classic ? run.request.headers.get("Content-Type") : std::string();
  return own.empty() ? "application/octet-stream" : own;
}

void Runner::begin(uint32_t call, std::string_view http, std::string_view body) {
  Run run{.call = call, .request = stdio_request(http), .process = nullptr, .began_us = now_us()};
  const std::string& method = run.request.method;
  bool known = method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE" || method == "GET";
  if (run.request.path == kHealthPath) return method == "GET" ? answer(run, 200, "OK") : answer(run, 405, "");
  if (settings_.mode == StdioMode::classic && !known) return answer(run, 405, "");
  if (settings_.max_inflight > 0 && static_cast<int64_t>(runs_.size()) >= settings_.max_inflight)
    return answer(run, 429, fmt::format("Concurrent request limit exceeded. Max concurrent requests: {}\n", settings_.max_inflight));
  std::vector<std::string> environment = environment_;
  for (auto& each : request_environment(run.request, body.size(), settings_)) environment.push_back(std::move(each));
  std::string input = settings_.marshal_request ? marshalled(run.request, body) : std::string(body);
  bool separate = settings_.mode != StdioMode::classic || !settings_.combine_output;
  if (settings_.mode == StdioMode::classic) log("Forking fprocess.");
  try {
    run.process = std::make_unique<StdioProcess>(settings_.command, environment, std::move(input), separate);
  } catch (const sys::Fault& fault) {
    log(fault.what());
    return answer(run, 500, std::string(fault.what()) + "\n");
  }
  if (settings_.mode == StdioMode::streaming) {
    send(FrameKind::head, call, head(run, 200, content_type_of(run)), "");
    run.opened = true;
  }
  runs_.push_back(std::move(run));
}

// What the process says of itself goes to the log, line by line.
void Runner::log_errors(Run& run) const {
  std::string& text = run.process->error_text;
  for (size_t end; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
    std::string line = text.substr(0, end);
    if (settings_.prefix_logs) log("stderr: " + line);
    else (void)!::write(1, (line + "\n").data(), line.size() + 1);
  }
  if (run.process->errors || text.empty()) return;
  log("stderr: " + std::exchange(text, {}));
}

void Runner::advance(Run& run) {
  StdioProcess& process = *run.process;
  if (process.input) process.write_input();
  if (process.output) (void)StdioProcess::drain(process.output, process.written);
  if (process.errors) {
    (void)StdioProcess::drain(process.errors, process.error_text);
    log_errors(run);
  }
  if (!process.reaped) process.reap();
  if (run.opened && !process.written.empty()) {
    run.sent_bytes += process.written.size();
    send(FrameKind::chunk, run.call, "", std::exchange(process.written, {}));
  }
  if (!run.opened && process.written.size() > kMaxOutputBytes && !process.killed) process.kill();
  if (process.ended()) finish(run);
}

void Runner::finish_classic(Run& run, const std::string& end, bool timed_out) {
  StdioProcess& process = *run.process;
  if (timed_out) return answer(run, 408, "Killed process.\n");
  if (!end.empty()) {
    log("Error: " + end);
    return answer(run, 500, end + "\n" + process.written);
  }
  log(fmt::format("Wrote {} Bytes - Duration: {}s", process.written.size(), seconds(now_us() - run.began_us)));
  answer(run, 200, std::move(process.written), content_type_of(run));
}

void Runner::finish(Run& run) {
  StdioProcess& process = *run.process;
  std::string end = process.status == 0 ? std::string() : end_text(process.status);
  int64_t took_us = now_us() - run.began_us;
  bool timed_out = process.killed && settings_.exec_timeout_us > 0 && took_us >= settings_.exec_timeout_us;
  if (process.killed && !timed_out) {
    end = fmt::format("the output is larger than {} bytes", kMaxOutputBytes);
    process.written.clear();  // more than a frame holds
  }
  if (settings_.mode == StdioMode::classic) return finish_classic(run, end, timed_out);
  uint64_t bytes = run.opened ? run.sent_bytes : process.written.size();
  if (!end.empty()) log("Error: " + end);
  log(fmt::format("{} {} - {} - ContentLength: {}B ({:.4f}s)", run.request.method, run.request.path, run.opened || end.empty() ? "200 OK" : "500 Internal Server Error", bytes,
                  static_cast<double>(took_us) / kMicrosPerSecond));
  if (run.opened) return send(FrameKind::reply, run.call, "", "", took_us);  // the status is out: whatever comes, it has ended
  if (!end.empty()) return answer(run, 500, end + "\n");
  answer(run, 200, std::move(process.written), content_type_of(run));
}

void Runner::take(const FrameHeader& header, std::string_view meta, std::string_view payload) {
  if (header.kind == FrameKind::start) return send(FrameKind::ready, 0, "", "");
  if (header.kind == FrameKind::hook) return send(FrameKind::reply, header.call, "", "");
  if (header.kind != FrameKind::call) return;
  size_t http = meta.find('\1', meta.find('\1') + 1);
  begin(header.call, meta.substr(http + 1), payload);
}

// False when the server has ended the stream.
bool Runner::read_frames() {
  char buffer[65536];
  ssize_t got = ::read(kFrames, buffer, sizeof buffer);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  inbox_.append(buffer, static_cast<size_t>(got));
  size_t at = 0;
  while (inbox_.size() - at >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, inbox_.data() + at, sizeof header);
    size_t size = sizeof header + header.meta_size + header.payload_size;
    if (inbox_.size() - at < size) break;
    std::string_view rest = std::string_view(inbox_).substr(at + sizeof header);
    take(header, rest.substr(0, header.meta_size), rest.substr(header.meta_size, header.payload_size));
    at += size;
  }
  inbox_.erase(0, at);
  return true;
}

int Runner::timeout_ms() const {
  if (settings_.exec_timeout_us <= 0 || runs_.empty()) return -1;
  int64_t due_us = INT64_MAX;
  for (const Run& run : runs_)
    if (!run.process->killed) due_us = std::min(due_us, run.began_us + settings_.exec_timeout_us);
  if (due_us == INT64_MAX) return -1;
  return static_cast<int>(std::max<int64_t>(0, (due_us - now_us() + kMicrosPerMilli - 1) / kMicrosPerMilli));
}

void Runner::kill_late() {
  if (settings_.exec_timeout_us <= 0) return;
  for (Run& run : runs_)
    if (!run.process->killed && now_us() >= run.began_us + settings_.exec_timeout_us) run.process->kill();
}

int Runner::run() {
  while (true) {
    std::vector<pollfd> wanted{{kFrames, POLLIN, 0}};
    for (const Run& run : runs_) {
      const StdioProcess& process = *run.process;
      if (process.input) wanted.push_back({process.input.get(), POLLOUT, 0});
      if (process.output) wanted.push_back({process.output.get(), POLLIN, 0});
      if (process.errors) wanted.push_back({process.errors.get(), POLLIN, 0});
      if (!process.reaped) wanted.push_back({process.pidfd.get(), POLLIN, 0});
    }
    if (::poll(wanted.data(), wanted.size(), timeout_ms()) < 0 && errno != EINTR) return 1;
    kill_late();
    for (auto run = runs_.begin(); run != runs_.end();) {
      advance(*run);
      run = run->process->ended() ? runs_.erase(run) : std::next(run);
    }
    if (wanted.front().revents != 0 && !read_frames()) return 0;
  }
}

}  // namespace

int stdio_runner_main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  std::map<std::string, std::string> environment;
  std::vector<std::string> list;
  for (char** each = environ; *each != nullptr; ++each) {
    std::string_view text = *each;
    size_t equals = text.find('=');
    if (equals != text.npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    list.emplace_back(text);
  }
  ::fcntl(kFrames, F_SETFD, FD_CLOEXEC);
  try {
    return Runner(stdio_settings(environment, argc > 2 && std::string_view(argv[2]) == "classic"), std::move(list)).run();
  } catch (const sys::Fault& fault) {
    fmt::print(stderr, "{}\n", fault.what());
    return 1;
  }
}

}  // namespace mayfly::runtime
