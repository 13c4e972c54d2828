#include "runtime/plan.h"

#include "functions/observing.h"
#include "runtime/layer_paths.h"
#include "sandbox/etc.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kInsideLibraries = "/mayfly/libraries";
constexpr const char* kInsideCa = "/mayfly/ca.pem";
constexpr const char* kInsideBundle = "/mayfly/ca-bundle.pem";
constexpr const char* kHostBundle = "/etc/ssl/certs/ca-certificates.crt";  // inside, ours lies over it

void bind_trust(const RuntimeOptions& options, std::vector<sandbox::Bind>& binds) {
  if (options.ca_certificate_pem.empty()) return;
  binds.push_back({options.state_folder + "/ca.pem", kInsideCa});
  binds.push_back({options.state_folder + "/ca-bundle.pem", kInsideBundle});
  if (sys::exists(kHostBundle)) binds.push_back({options.state_folder + "/ca-bundle.pem", kHostBundle});
}

void add_fc(const StartContext& context, const std::string& code, Environment& out) {
  const auto& function = context.runnable->function;
  out.insert({
      {"FC_FUNC_CODE_PATH", code + "/"},
      {"FC_ACCOUNT_ID", context.account},
      {"FC_REGION", context.region},
      {"FC_SERVICE_NAME", function.service},
      {"FC_FUNCTION_NAME", function.name},
      {"FC_FUNCTION_HANDLER", function.handler},
      {"FC_FUNCTION_MEMORY_SIZE", std::to_string(function.memory_mb)},
      {"FC_QUALIFIER", qualifier_of(*context.runnable)},
      {"FC_CUSTOM_LISTEN_PORT", "9000"},
      {"FC_SERVER_PORT", "9000"},
      {"ALIBABA_CLOUD_REGION", context.region},
  });
}

}  // namespace

std::string qualifier_of(const functions::Runnable& runnable) { return runnable.qualifier.empty() ? std::string(functions::kLatest) : runnable.qualifier; }

json::object service_about(const functions::Runnable& runnable) {
  auto logs = functions::log_target(runnable.service);
  return {{"name", runnable.function.service}, {"log_project", logs.project}, {"log_store", logs.store},
          {"qualifier", qualifier_of(runnable)}, {"version_id", runnable.version}};
}

std::string span_context(const std::string& request_id) {
  constexpr size_t kTraceDigits = 32, kSpanDigits = 16;
  std::string trace;
  for (char c : request_id)
    if (std::isxdigit(static_cast<unsigned char>(c))) trace += c;
  trace.resize(kTraceDigits, '0');
  return fmt::format("{}:{}:0:1", trace, trace.substr(kTraceDigits - kSpanDigits));
}

Places places(const functions::Runnable& runnable, const RuntimeOptions& options, Contract contract) {
  if (options.unsafe_no_sandbox) return {runnable.code_path, runnable.layers_path, options.runtimes_folder, options.libraries_folder};
  return {std::string(code_folder(contract)), "/opt", kInsideRuntimes, kInsideLibraries};
}

Environment trust_environment(const RuntimeOptions& options) {
  if (options.unsafe_no_sandbox || options.ca_certificate_pem.empty()) return {};
  Environment out{{"NODE_EXTRA_CA_CERTS", kInsideCa}};
  for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ALIBABA_CLOUD_CA_BUNDLE"}) out[name] = kInsideBundle;
  return out;
}

Environment environment(const StartContext& context, const RuntimeOptions& options, Contract contract) {
  Environment out{
      {"PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"},
      {"LANG", "C.UTF-8"},
      {"TZ", "UTC"},
      {"HOME", "/tmp"},
  };
  if (contract == Contract::fc) add_fc(context, places(*context.runnable, options, contract).code, out);
  if (options.platform_port != 0) out["MAYFLY_ENDPOINT"] = fmt::format("http://127.0.0.1:{}", options.platform_port);
  out.merge(trust_environment(options));
  for (const auto& [name, value] : context.runnable->function.environment) out[name] = value;  // the template's words win
  add_layer_paths(*context.runnable, places(*context.runnable, options, contract), contract, out);
  return out;
}

std::vector<std::string> as_list(const Environment& environment) {
  std::vector<std::string> out;
  for (const auto& [name, value] : environment) out.push_back(name + "=" + value);
  return out;
}

uint64_t memory_limit(const functions::Function& function) { return static_cast<uint64_t>(function.memory_mb) << 20; }

std::string hostname_of(const functions::Function& function) {
  std::string out = function.name;
  for (char& c : out) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '-';
  }
  return out.substr(0, 63);  // HOST_NAME_MAX is 64
}

std::vector<sandbox::Bind> function_binds(const functions::Runnable& runnable, Contract contract) {
  std::vector<sandbox::Bind> binds;
  if (!runnable.code_path.empty()) binds.push_back({runnable.code_path, std::string(code_folder(contract))});
  if (!runnable.layers_path.empty()) binds.push_back({runnable.layers_path, "/opt"});
  return binds;
}

sandbox::Plan base_plan(const std::string& account, const std::string& region, const std::string& hostname, const RuntimeOptions& options) {
  sandbox::Plan plan;
  plan.isolation = options.unsafe_no_sandbox ? sandbox::Isolation::none : sandbox::Isolation::full;
  plan.hostname = hostname;
  plan.binds = sandbox::system_binds();
  if (!options.libraries_folder.empty()) plan.binds.push_back({options.libraries_folder, kInsideLibraries, true});
  bind_trust(options, plan.binds);
  plan.files = sandbox::etc_files({.account = account, .region = region, .hostname = hostname});
  plan.doors = {80, 443};
  if (options.platform_port != 0 && options.platform_port != 80 && options.platform_port != 443) plan.doors.push_back(options.platform_port);
  plan.dns_door = true;
  plan.tmp_bytes = kTmpBytes;
  return plan;
}

}  // namespace mayfly::runtime
