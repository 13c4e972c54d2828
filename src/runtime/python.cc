#include "runtime/python.h"

#include <sched.h>
#include <unistd.h>

#include "base/encoding.h"
#include "base/json.h"
#include "sandbox/etc.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kInsideRuntime = "/mayfly/python";
constexpr const char* kInsideLibraries = "/mayfly/libraries";
constexpr const char* kInsideCa = "/mayfly/ca.pem";
constexpr const char* kInsideBundle = "/mayfly/ca-bundle.pem";
constexpr const char* kHostBundle = "/etc/ssl/certs/ca-certificates.crt";  // inside, ours lies over it

using Environment = std::map<std::string, std::string>;

struct Places {
  std::string code, runtime, libraries;
};

// Without a sandbox everything is where it lies on the host.
Places places(const StartContext& context, const RuntimeOptions& options) {
  if (options.unsafe_no_sandbox) return {context.runnable->code_path, options.runtimes_folder + "/python", options.libraries_folder};
  return {"/code", kInsideRuntime, kInsideLibraries};
}

Environment environment(const StartContext& context, const RuntimeOptions& options) {
  const auto& function = context.runnable->function;
  Environment out{
      {"PATH", "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"},
      {"LANG", "C.UTF-8"},
      {"TZ", "UTC"},
      {"HOME", "/tmp"},
      {"FC_FUNC_CODE_PATH", places(context, options).code + "/"},
      {"FC_ACCOUNT_ID", context.account},
      {"FC_REGION", context.region},
      {"FC_SERVICE_NAME", function.service},
      {"FC_FUNCTION_NAME", function.name},
      {"FC_FUNCTION_HANDLER", function.handler},
      {"FC_FUNCTION_MEMORY_SIZE", std::to_string(function.memory_mb)},
      {"FC_QUALIFIER", context.runnable->qualifier.empty() ? std::string(functions::kLatest) : context.runnable->qualifier},
      {"FC_CUSTOM_LISTEN_PORT", "9000"},
      {"FC_SERVER_PORT", "9000"},
      {"ALIBABA_CLOUD_REGION", context.region},
  };
  if (options.platform_port != 0) out["MAYFLY_ENDPOINT"] = fmt::format("http://127.0.0.1:{}", options.platform_port);
  if (!options.unsafe_no_sandbox && !options.ca_certificate_pem.empty()) {
    for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ALIBABA_CLOUD_CA_BUNDLE"}) out[name] = kInsideBundle;
    out["NODE_EXTRA_CA_CERTS"] = kInsideCa;
  }
  for (const auto& [name, value] : function.environment) out[name] = value;  // the template's words win
  return out;
}

std::string hostname_of(const functions::Function& function) {
  std::string out = function.name;
  for (char& c : out) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '-';
  }
  return out.substr(0, 63);  // HOST_NAME_MAX is 64
}

void bind_trust(const RuntimeOptions& options, std::vector<sandbox::Bind>& binds) {
  if (options.ca_certificate_pem.empty()) return;
  binds.push_back({options.state_folder + "/ca.pem", kInsideCa});
  binds.push_back({options.state_folder + "/ca-bundle.pem", kInsideBundle});
  if (sys::exists(kHostBundle)) binds.push_back({options.state_folder + "/ca-bundle.pem", kHostBundle});
}

// The cores that this process may use: those of its first thread, which is no shard's and so is not pinned.
std::vector<int> server_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(::getpid(), sizeof set, &set) < 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

}  // namespace

bool is_python3(const std::string& runtime) { return runtime.starts_with("python3"); }

sandbox::Plan zygote_plan(const StartContext& context, const RuntimeOptions& options, uint32_t host_uid) {
  const auto& function = context.runnable->function;
  Places inside = places(context, options);
  sandbox::Plan plan;
  plan.isolation = options.unsafe_no_sandbox ? sandbox::Isolation::none : sandbox::Isolation::full;
  plan.hostname = hostname_of(function);
  plan.host_uid = host_uid;
  plan.binds = sandbox::system_binds();
  plan.binds.push_back({context.runnable->code_path, "/code"});
  plan.binds.push_back({options.runtimes_folder + "/python", kInsideRuntime});
  if (!options.libraries_folder.empty()) plan.binds.push_back({options.libraries_folder, kInsideLibraries, true});
  bind_trust(options, plan.binds);
  plan.files = sandbox::etc_files({.account = context.account, .region = context.region, .hostname = plan.hostname});
  plan.doors = {80, 443};
  if (options.platform_port != 0 && options.platform_port != 80 && options.platform_port != 443) plan.doors.push_back(options.platform_port);
  plan.dns_door = true;
  plan.command = {kPython, "-S", "-s", "-B", inside.runtime + "/zygote.py"};
  // The zygote holds privileges inside its sandbox: nothing of the function's own environment reaches it, only its workers.
  // One BLAS thread: threads do not survive a fork.
  plan.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=/tmp", "OPENBLAS_NUM_THREADS=1"};
  plan.folder = inside.code;
  return plan;
}

std::string zygote_configuration(const StartContext& context, const RuntimeOptions& options, const std::string& seccomp_program) {
  const auto& function = context.runnable->function;
  Places inside = places(context, options);
  return to_text(json::object{
      {"isolated", !options.unsafe_no_sandbox},
      {"seccomp", base64_encode(seccomp_program)},
      {"code", inside.code},
      {"libraries", inside.libraries},
      {"handler", function.handler},
      {"initializer", function.initializer},
      {"concurrency", function.instance_concurrency},
      {"cores", json::value_from(server_cores())},
      {"tmp_bytes", kTmpBytes},
      {"region", context.region},
      {"account", context.account},
      {"environment", json::value_from(environment(context, options))},
      {"function", {{"name", function.name}, {"handler", function.handler}, {"memory", function.memory_mb}, {"timeout", function.timeout_s}}},
      {"service",
       {{"name", function.service}, {"log_project", ""}, {"log_store", ""}, {"qualifier", context.runnable->qualifier}, {"version_id", context.runnable->version}}},
  });
}

std::string start_message(const std::string& instance_id, const auth::Credentials& credentials, uint64_t memory_bytes) {
  return to_text(json::object{{"instance_id", instance_id},
                              {"memory_bytes", memory_bytes},
                              {"credentials", {credentials.access_key_id, credentials.access_key_secret, credentials.security_token}}});
}

}  // namespace mayfly::runtime
