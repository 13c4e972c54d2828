#include "runtime/api_plan.h"

#include <sys/stat.h>
#include <algorithm>
#include <filesystem>

#include "runtime/api_codec.h"
#include "runtime/process.h"
#include "sys/file.h"

namespace mayfly::runtime {
namespace {

struct Candidate {
  std::string host, inside;
};

bool is_file(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}
bool is_executable(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 && (about.st_mode & S_IXOTH) != 0;
}

std::vector<Candidate> candidates(const functions::Runnable& runnable, const Places& inside, Contract contract) {
  std::vector<Candidate> out;
  const auto& function = runnable.function;
  bool by_handler = contract == Contract::fc || function.runtime == "go1.x";
  if (by_handler && !function.handler.empty()) out.push_back({runnable.code_path + "/" + function.handler, inside.code + "/" + function.handler});
  out.push_back({runnable.code_path + "/bootstrap", inside.code + "/bootstrap"});
  if (contract == Contract::lambda && !runnable.layers_path.empty()) out.push_back({runnable.layers_path + "/bootstrap", inside.layers + "/bootstrap"});
  return out;
}

// "2026/11/20/[$LATEST]c-0123...": one stream per instance.
std::string log_stream(const functions::Runnable& runnable, const std::string& instance_id, int64_t wall_us) {
  std::string day = iso8601_s(wall_us).substr(0, 10);
  std::replace(day.begin(), day.end(), '-', '/');
  return fmt::format("{}/[{}]{}", day, lambda_version(runnable), instance_id);
}

// What the function's own configuration may change, and what it may not.
struct Variables {
  Environment defaults, fixed;
};

Variables lambda_variables(const StartContext& context, const Places& inside, const ApiAddress& address, int64_t wall_us) {
  const auto& runnable = *context.runnable;
  const auto& function = runnable.function;
  Variables out;
  out.defaults = {
      {"TZ", ":UTC"},
      {"PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"},
      {"LD_LIBRARY_PATH", fmt::format("/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:{0}:{0}/lib:{1}/lib", inside.code, inside.layers)},
  };
  out.fixed = {
      {"AWS_LAMBDA_RUNTIME_API", fmt::format("127.0.0.1:{}", address.port)},
      {"_HANDLER", function.handler},
      {"LAMBDA_TASK_ROOT", inside.code},
      {"LAMBDA_RUNTIME_DIR", "/var/runtime"},
      {"AWS_LAMBDA_FUNCTION_NAME", function.name},
      {"AWS_LAMBDA_FUNCTION_VERSION", lambda_version(runnable)},
      {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", std::to_string(function.memory_mb)},
      {"AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/" + function.name},
      {"AWS_LAMBDA_LOG_STREAM_NAME", log_stream(runnable, address.instance_id, wall_us)},
      {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
      {"AWS_REGION", context.region},
      {"AWS_DEFAULT_REGION", context.region},
      {"AWS_ACCESS_KEY_ID", context.credentials.access_key_id},
      {"AWS_SECRET_ACCESS_KEY", context.credentials.access_key_secret},
      {"AWS_SESSION_TOKEN", context.credentials.security_token},
  };
  // The vendor leaves it out for runtimes that bring no language.
  if (!function.runtime.starts_with("provided")) out.fixed["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + function.runtime;
  return out;
}

// A search path of the contract, and behind it what layers have put there already.
std::string joined(std::string first, std::string_view rest) {
  while (!rest.empty()) {
    std::string_view part = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    if ((":" + first + ":").find(fmt::format(":{}:", part)) == std::string::npos) first += fmt::format(":{}", part);
  }
  return first;
}

Variables scf_variables(const StartContext& context, const Places& inside, const ApiAddress& address) {
  const auto& runnable = *context.runnable;
  const auto& function = runnable.function;
  const std::string &code = inside.code, &opt = inside.layers;
  Variables out;
  out.defaults = {
      {"PYTHONPATH", code + ":" + opt},
      {"NODE_PATH", fmt::format("{0}:{0}/node_modules:{1}:{1}/node_modules", code, opt)},
      {"LD_LIBRARY_PATH", fmt::format("{}:{}:{}/lib", code, opt, opt)},
      {"TRIGGER_SRC", ""},
  };
  out.fixed = {
      {"SCF_RUNTIME_API", "127.0.0.1"},
      {"SCF_RUNTIME_API_PORT", std::to_string(address.port)},
      {"_HANDLER", function.handler},
      {"_SCF_SERVER_PORT", "28902"},
      {"USER_CODE_ROOT", code + "/"},
      {"SCF_FUNCTIONNAME", function.name},
      {"SCF_NAMESPACE", function.service},
      {"SCF_FUNCTIONVERSION", lambda_version(runnable)},
      {"TENCENTCLOUD_RUNENV", "SCF"},
      {"TENCENTCLOUD_REGION", context.region},
      {"TENCENTCLOUD_UIN", context.account},
      {"TENCENTCLOUD_APPID", context.account},
      {"TENCENTCLOUD_SECRETID", context.credentials.access_key_id},
      {"TENCENTCLOUD_SECRETKEY", context.credentials.access_key_secret},
      {"TENCENTCLOUD_SESSIONTOKEN", context.credentials.security_token},
  };
  return out;
}

Variables fc_variables(const StartContext& context, const ApiAddress& address) {
  const auto& keys = context.credentials;
  Variables out;
  out.defaults = {{"ALIBABA_CLOUD_ACCESS_KEY_ID", keys.access_key_id},
                  {"ALIBABA_CLOUD_ACCESS_KEY_SECRET", keys.access_key_secret},
                  {"ALIBABA_CLOUD_SECURITY_TOKEN", keys.security_token}};
  out.fixed = {{"FC_RUNTIME_API", fmt::format("127.0.0.1:{}", address.port)}, {"FC_INSTANCE_ID", address.instance_id}};
  return out;
}

std::string missing(const functions::Runnable& runnable, const std::vector<Candidate>& tried, Contract contract) {
  if (contract == Contract::scf) return error_json("bootstrap not found: the package has no file \"bootstrap\"", "InvalidBootstrap");
  std::string list;
  for (const auto& each : tried) list += (list.empty() ? "" : " ") + each.inside;
  if (contract == Contract::lambda) return error_json(fmt::format("Error: Couldn't find valid bootstrap(s): [{}]", list), "Runtime.InvalidEntrypoint");
  return error_json(fmt::format("the package of {} has none of the programs that its handler may name: {}", runnable.function.name, list), "HandlerNotFound");
}

}  // namespace

Expected<std::string, StartError> api_program(const functions::Runnable& runnable, const RuntimeOptions& options, Contract contract) {
  auto tried = candidates(runnable, places(runnable, options, contract), contract);
  for (const auto& each : tried) {
    if (!is_file(each.host)) continue;
    if (is_executable(each.host)) return each.inside;
    return fail(StartError::initializer, error_json(each.inside + " is not executable: set its mode (chmod 755) before packing it", "InvalidEntrypoint"));
  }
  return fail(StartError::initializer, missing(runnable, tried, contract));
}

std::vector<sandbox::Bind> api_binds(const functions::Runnable& runnable, Contract contract) {
  constexpr const char* kBash = "/usr/bin/bash";
  auto binds = function_binds(runnable, contract);
  std::error_code none;
  auto shell = std::filesystem::canonical("/bin/sh", none);
  if (contract != Contract::fc && !none && shell != kBash && sys::exists(kBash)) binds.push_back({kBash, shell.string()});
  return binds;
}

Environment api_environment(const StartContext& context, const RuntimeOptions& options, Contract contract, const ApiAddress& address, int64_t wall_us) {
  Environment out = environment(context, options, contract);
  Places inside = places(*context.runnable, options, contract);
  Variables own = contract == Contract::lambda ? lambda_variables(context, inside, address, wall_us)
                  : contract == Contract::scf  ? scf_variables(context, inside, address)
                                               : fc_variables(context, address);
  const auto& chosen = context.runnable->function.environment;
  for (auto& [name, value] : own.defaults)
    if (!chosen.contains(name)) out[name] = joined(std::move(value), out[name]);
  for (auto& [name, value] : own.fixed) out[name] = std::move(value);
  return out;
}

}  // namespace mayfly::runtime
