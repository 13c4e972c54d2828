#include "cli/context.h"

#include <unistd.h>

#include <cstdlib>

#include "auth/keyring.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {

bool is_terminal(int fd) { return isatty(fd) == 1; }

std::string environment_or(const char* name, std::string fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

std::string default_data_dir() { return environment_or("MAYFLY_DATA_DIR", environment_or("HOME", "/root") + "/.mayfly"); }

CliContext::CliContext() : data_dir(default_data_dir()) {}
CliContext::CliContext(Transport& transport) : access_key_id("AK"), access_key_secret("SK"), account("1234"), given_transport_(&transport) {}

namespace {

std::string first_of(std::initializer_list<std::string> values) {
  for (const std::string& value : values)
    if (!value.empty()) return value;
  return {};
}

json::value notes_of(const std::string& data_dir) {
  auto text = sys::read_file_if_exists(data_dir + "/server.json");
  if (!text) return json::object();
  auto notes = parse_json(*text);
  return notes ? *notes : json::value(json::object());
}

}  // namespace

Result<Settings> CliContext::settings() const {
  try {
    json::value notes = notes_of(data_dir);
    Settings settings;
    settings.endpoint = first_of({endpoint, environment_or("MAYFLY_ENDPOINT"), string_or(notes, "endpoint"), std::string(kDefaultEndpoint)});
    settings.tls_endpoint = string_or(notes, "tls_endpoint");
    settings.region = first_of({region, environment_or("MAYFLY_REGION"), string_or(notes, "region"), std::string(kDefaultRegion)});
    settings.keys.account = first_of({account, environment_or("MAYFLY_ACCOUNT_ID"), string_or(notes, "account")});
    settings.keys.credentials = {.access_key_id = first_of({access_key_id, environment_or("MAYFLY_ACCESS_KEY_ID")}),
                                 .access_key_secret = first_of({access_key_secret, environment_or("MAYFLY_ACCESS_KEY_SECRET")}),
                                 .security_token = first_of({security_token, environment_or("MAYFLY_SECURITY_TOKEN")})};
    if (!settings.keys.credentials.access_key_id.empty()) return settings;
    if (!settings.keys.credentials.access_key_secret.empty())
      return fail(Kind::usage, "an access key secret was given without its id", "give --access-key-id (or MAYFLY_ACCESS_KEY_ID) too");
    if (!sys::exists(data_dir + "/keys.json"))
      return fail(Kind::usage, "no access key: there is no " + data_dir + "/keys.json",
                  "start a server with `mayfly up`, name its folder with --data-dir, or give --access-key-id and --access-key-secret");
    SystemRng rng;
    auth::Keyring keyring = auth::Keyring::open(data_dir, rng);
    settings.keys.credentials.access_key_id = keyring.root_id();
    settings.keys.credentials.access_key_secret = keyring.root_secret();
    if (settings.keys.account.empty()) settings.keys.account = keyring.account();
    return settings;
  } catch (const sys::Fault& fault) {
    return fail(Kind::local, fault.what());
  }
}

Result<ApiClient*> CliContext::client() {
  if (client_) return client_.get();
  MAYFLY_TRY(Settings chosen, settings());
  if (given_transport_ == nullptr) {
    MAYFLY_TRY(transport_, make_transport(chosen.endpoint));
  }
  client_ = std::make_unique<ApiClient>(given_transport_ != nullptr ? *given_transport_ : *transport_, chosen.keys, chosen.region, clock_, rng_);
  return client_.get();
}

void CliContext::finish(const Result<int>& outcome) {
  if (outcome) {
    exit_code = *outcome;
    return;
  }
  const Failure<Refusal>& failure = outcome.error();
  exit_code = static_cast<int>(failure.code.kind);
  if (json) {
    print_json(json::object{{"error", {{"code", failure.code.code}, {"message", failure.message}, {"hint", failure.hint},
                                       {"requestId", failure.code.request_id}}}});
    return;
  }
  fmt::print(stderr, "mayfly: {}\n", failure.message);
  if (!failure.hint.empty()) fmt::print(stderr, "  hint: {}\n", failure.hint);
}

void CliContext::print_json(const json::value& value) const { fmt::print("{}\n", to_text(value)); }

}  // namespace mayfly::cli
