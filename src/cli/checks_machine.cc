#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/encoding.h"
#include "cli/checks.h"
#include "cli/table.h"
#include "sys/fd.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr uint64_t kEnoughDiskBytes = 2ull << 30;    // some thousand photos and every package of a small team
constexpr uint64_t kLittleDiskBytes = 200ull << 20;  // below it commits may start to fail
constexpr rlim_t kEnoughFiles = 4096;                // one per connection, two per instance
constexpr int64_t kBuildTimeUs = 1'767'225'600 * kMicrosPerSecond;  // 2026-01-01: a clock before it is wrong

// What a command prints, trimmed; nullopt if it fails. `command` is ours, never input.
std::optional<std::string> output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>/dev/null").c_str(), "r"), pclose);
  if (!pipe) return std::nullopt;
  std::string text;
  char buffer[512];
  while (size_t size = fread(buffer, 1, sizeof buffer, pipe.get())) text.append(buffer, size);
  int status = pclose(pipe.release());
  if (status != 0) return std::nullopt;
  return std::string(trim(text));
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

Check check_disk(const std::string& folder) {
  struct statvfs status;
  if (statvfs(folder.c_str(), &status) != 0)
    return {"disk space", Health::broken, strerror(errno), "nothing can be stored", "make the folder, or name another with --data-dir"};
  uint64_t free_bytes = uint64_t{status.f_bavail} * status.f_frsize;
  Check check{"disk space", Health::good, size_text(free_bytes) + " free", {}, {}};
  if (free_bytes >= kEnoughDiskBytes) return check;
  check.health = free_bytes >= kLittleDiskBytes ? Health::weaker : Health::broken;
  check.without = "objects and queues have little room; when the disk is full the server stops rather than lose data";
  check.remedy = "free some space, or put the data elsewhere with --data-dir";
  return check;
}

Check check_clock() {
  timex state{};
  bool synchronized = ntp_adjtime(&state) != TIME_ERROR;
  int64_t now = SystemClock().wall_us();
  if (now < kBuildTimeUs)
    return {"clock", Health::broken, iso8601_s(now), "signatures of clients are refused, timers fire at wrong times", "set the clock: timedatectl set-ntp true"};
  if (synchronized) return {"clock", Health::good, iso8601_s(now) + ", kept by NTP", {}, {}};
  return {"clock", Health::weaker, iso8601_s(now) + ", nobody keeps it", "if it drifts by 15 minutes, signatures of other machines are refused",
          "timedatectl set-ntp true (a container takes its host's clock: nothing to do)"};
}

// Besides Python's, which examples and tests need: the interpreters of functions, where runtime/ looks for them.
struct Interpreter {
  const char *name, *program, *version_command, *without, *fix;
};
constexpr std::array kInterpreters{
    Interpreter{"node", "/usr/bin/node", "/usr/bin/node --version", "Node functions and vendor tools such as `fun` do not run", "apt-get install nodejs npm"},
    Interpreter{"java", "/usr/bin/java", "/usr/bin/java -version 2>&1 | head -n 1 | grep version", "Java functions do not run", "apt-get install openjdk-17-jre-headless"},
    Interpreter{"php", "/usr/bin/php", "/usr/bin/php -r 'echo PHP_VERSION;'", "PHP functions do not run", "apt-get install php-cli"},
    Interpreter{"dotnet", "/usr/bin/dotnet", "/usr/bin/dotnet --list-runtimes 2>/dev/null | head -n 1 | cut -d ' ' -f 1,2", ".NET functions do not run", "install a .NET runtime, 3.1 or later"},
};

// The nearest folder above `path` that exists.
std::string existing_parent(std::string path) {
  while (path.size() > 1 && !sys::exists(path)) path = path.substr(0, std::max<size_t>(path.rfind('/'), 1));
  return path;
}

bool port_is_free(uint16_t port) {
  sys::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

std::vector<Check> check_programs(const std::string& libraries) {
  std::vector<Check> checks;
  auto python = output_of("/usr/bin/python3 -c 'import sys; print(sys.version.split()[0])'");
  if (python) checks.push_back({"python3", Health::good, "/usr/bin/python3 " + *python, {}, {}});
  else checks.push_back({"python3", Health::broken, "no /usr/bin/python3", "Python functions do not run", "apt-get install python3"});
  if (python) {
    std::string code = "import importlib.util as u; print(' '.join(m for m in ('cv2','numpy','oss2','aliyunsdkcore','aliyunsdkfnf') "
                       "if not u.find_spec(m)))";
    std::string path = libraries.empty() ? "" : "PYTHONPATH=" + shell_quoted(libraries) + " ";
    auto missing = output_of(path + "/usr/bin/python3 -c \"" + code + "\"");
    std::string place = libraries.empty() ? "the system's" : libraries;
    if (missing && missing->empty()) checks.push_back({"python libraries", Health::good, place + ": cv2, numpy, oss2, aliyun SDKs", {}, {}});
    else
      checks.push_back({"python libraries", Health::weaker, place + " lack " + missing.value_or("all"), "functions that import them without shipping them fail",
                        "./dev setup installs them; then `mayfly up --libraries <folder>`"});
  }
  for (const Interpreter& each : kInterpreters) {
    auto version = output_of(each.version_command);
    if (version && !version->empty()) checks.push_back({each.name, Health::good, *version, {}, {}});
    else checks.push_back({each.name, Health::weaker, std::string("no ") + each.program, each.without, each.fix});
  }
  return checks;
}

std::vector<Check> check_machine(const std::string& data_dir) {
  std::vector<Check> checks;
  std::string folder = existing_parent(data_dir);
  bool writable = access(folder.c_str(), W_OK) == 0;
  checks.push_back(writable ? Check{"data folder", Health::good, sys::exists(data_dir) ? data_dir : data_dir + " (will be made)", {}, {}}
                            : Check{"data folder", Health::broken, folder + " cannot be written", "the server does not start", "name another with --data-dir"});
  struct stat status;
  if (stat((data_dir + "/keys.json").c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    checks.push_back({"access keys", Health::weaker, "others can read " + data_dir + "/keys.json", "anybody on this machine may act as you",
                      "chmod 600 " + data_dir + "/keys.json"});
  checks.push_back(check_disk(folder));
  checks.push_back(check_clock());
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max >= kEnoughFiles) checks.push_back({"open files", Health::good, fmt::format("up to {}", files.rlim_max), {}, {}});
  else checks.push_back({"open files", Health::weaker, fmt::format("up to {}", files.rlim_max), "few connections and instances at a time", "ulimit -Hn 65536"});
  return checks;
}

std::vector<Check> check_server(CliContext& context) {
  auto settings = context.settings();
  std::string endpoint = settings ? settings->endpoint : context.endpoint.empty() ? std::string(kDefaultEndpoint) : context.endpoint;
  auto transport = make_transport(endpoint);
  if (!transport) return {{"server", Health::broken, transport.error().message, "no command works", transport.error().hint}};
  auto reply = (*transport)->send({.method = "GET", .target = "/mayfly/v1/health", .timeout_us = 5 * kMicrosPerSecond});
  if (reply && reply->status == 200) {
    std::vector<Check> checks{{"server", Health::good, "answers at " + endpoint, {}, {}}};
    auto client = context.client();
    auto status = client ? (*client)->native("/mayfly/v1/status") : Result<json::value>(std::unexpected(client.error()));
    if (status) checks.push_back({"access keys", Health::good, "accepted by the server", {}, {}});
    else checks.push_back({"access keys", Health::broken, status.error().message, "no command works", status.error().hint});
    return checks;
  }
  if (reply) return {{"server", Health::broken, fmt::format("{} answers with HTTP {}: another program has the port", endpoint, reply->status),
                      "`mayfly up` cannot use it", "mayfly up --port 9001"}};
  size_t colon = endpoint.rfind(':');
  auto port = static_cast<uint16_t>(std::strtoul(endpoint.c_str() + colon + 1, nullptr, 10));
  if (port_is_free(port)) return {{"server", Health::weaker, "none is running; the port of " + endpoint + " is free", "nothing runs yet", "mayfly up"}};
  return {{"server", Health::broken, "another program has the port of " + endpoint, "`mayfly up` cannot use it", "mayfly up --port 9001"}};
}

}  // namespace mayfly::cli
