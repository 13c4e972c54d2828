#pragma once
// CliContext: what every command needs: where the server is, the keys, how to print, and the exit code. Settings come, strongest first,
// from flags, the environment (MAYFLY_ENDPOINT, MAYFLY_DATA_DIR, MAYFLY_ACCESS_KEY_ID, MAYFLY_ACCESS_KEY_SECRET, MAYFLY_REGION), the
// running server's own notes (<data>/server.json, keys.json) and built-in defaults. One per process, made by main.

#include <memory>

#include "base/clock.h"
#include "base/rng.h"
#include "cli/client.h"

namespace mayfly::cli {

constexpr std::string_view kDefaultEndpoint = "http://127.0.0.1:9000";
constexpr std::string_view kDefaultRegion = "cn-hangzhou";

struct Settings {
  std::string endpoint, tls_endpoint, region;
  Keys keys;
};

class CliContext {
 public:
  CliContext();  // data_dir begins as the default folder
  // For tests: everything goes to `transport` with keys "AK"/"SK" of account "1234".
  explicit CliContext(Transport& transport);

  std::string endpoint, access_key_id, access_key_secret, security_token, account, region;  // as given; empty: not given
  std::string data_dir;
  bool json = false;   // --json
  int exit_code = 0;

  Result<Settings> settings() const;
  Result<ApiClient*> client();  // made at first use

  // Ends a command: its exit code, or its failure printed on stderr (or as JSON on stdout with --json).
  void finish(const Result<int>& outcome);
  void print_json(const json::value& value) const;

 private:
  SystemClock clock_;
  SystemRng rng_;
  Transport* given_transport_ = nullptr;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<ApiClient> client_;
};

bool is_terminal(int fd);
std::string default_data_dir();
std::string environment_or(const char* name, std::string fallback = {});

}  // namespace mayfly::cli
