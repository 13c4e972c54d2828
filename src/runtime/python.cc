#include "runtime/python.h"

#include "base/encoding.h"
#include "base/json.h"
#include "functions/lifecycle.h"
#include "io/shard.h"

namespace mayfly::runtime {
namespace {

constexpr const char* kPython = "/usr/bin/python3";  // by absolute path: PATH comes from the function's template (aliyun-fc.md 2.2)

}  // namespace

sandbox::Plan zygote_plan(const RuntimeOptions& options) {
  sandbox::Plan plan = base_plan(options.account, options.region, kGenericHost, options);
  plan.binds.push_back({options.runtimes_folder + "/python", std::string(kInsideRuntimes) + "/python"});
  std::string runtimes = options.unsafe_no_sandbox ? options.runtimes_folder : std::string(kInsideRuntimes);
  plan.command = {kPython, "-S", "-s", "-B", runtimes + "/python/zygote.py"};
  // The zygote holds privileges inside its sandbox: nothing of the function's own environment reaches it, only its workers.
  // One BLAS thread: threads do not survive a fork.
  plan.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TZ=UTC", "HOME=/tmp", "OPENBLAS_NUM_THREADS=1"};
  plan.folder = "/tmp";
  return plan;
}

std::string zygote_configuration(const StartContext& context, const RuntimeOptions& options, const std::string& seccomp_program) {
  const auto& function = context.runnable->function;
  Places inside = places(*context.runnable, options, Contract::fc);
  auto handler_of = [](const std::optional<functions::Hook>& hook) { return hook ? hook->handler : std::string(); };
  return to_text(json::object{
      {"isolated", !options.unsafe_no_sandbox},
      {"seccomp", base64_encode(seccomp_program)},
      {"code", inside.code},
      {"layers", inside.layers},
      {"libraries", inside.libraries},
      {"handler", function.handler},
      {"initializer", handler_of(functions::initializer(function))},
      {"pre_stop", handler_of(functions::pre_stop(function))},
      {"pre_freeze", handler_of(functions::pre_freeze(function))},
      {"concurrency", concurrency_of(function)},
      {"cores", json::value_from(io::usable_cores())},
      {"tmp_bytes", kTmpBytes},
      {"region", context.region},
      {"account", context.account},
      {"environment", json::value_from(environment(context, options, Contract::fc))},
      {"function", {{"name", function.name}, {"handler", function.handler}, {"memory", function.memory_mb}, {"timeout", function.timeout_s}}},
      {"service", service_about(*context.runnable)},
  });
}

std::string start_message(const std::string& instance_id, const auth::Credentials& credentials, uint64_t memory_bytes, const std::string& initializer_id) {
  return to_text(json::object{{"instance_id", instance_id},
                              {"memory_bytes", memory_bytes},
                              {"request_id", initializer_id},
                              {"credentials", {credentials.access_key_id, credentials.access_key_secret, credentials.security_token}}});
}

}  // namespace mayfly::runtime
