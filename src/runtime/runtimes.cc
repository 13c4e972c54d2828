#include "runtime/runtimes.h"

#include <algorithm>
#include <array>

#include "sys/file.h"

namespace mayfly::runtime {
namespace {

// The first whose prefix fits: longer ones stand before shorter ones.
constexpr std::array kRuntimes{
    Runtime{"python3", Executor::zygote, Contract::fc, "/usr/bin/python3", "python3"},
    Runtime{"nodejs", Executor::framed, Contract::fc, "/usr/bin/node", "nodejs", false, "JavaScript heap out of memory"},
    Runtime{"java", Executor::framed, Contract::fc, "/usr/bin/java", "openjdk-17-jre-headless", true},
    Runtime{"dotnet", Executor::framed, Contract::fc, "/usr/bin/dotnet", "a .NET runtime, 3.1 or later, as /usr/bin/dotnet", true},
    Runtime{"php", Executor::framed, Contract::fc, "/usr/bin/php", "php-cli"},
    Runtime{"cpp", Executor::framed, Contract::fc, "", ""},
    Runtime{"go1.x", Executor::runtime_api, Contract::lambda, "", ""},
    Runtime{"go", Executor::runtime_api, Contract::fc, "", ""},
    Runtime{"custom", Executor::http, Contract::fc, "", ""},  // custom.debian10 and custom-container too
    Runtime{"provided", Executor::runtime_api, Contract::lambda, "", ""},
    Runtime{"CustomRuntime", Executor::runtime_api, Contract::scf, "", ""},
    Runtime{"scf-web", Executor::http, Contract::scf_web, "", ""},
    Runtime{"knative", Executor::http, Contract::knative, "", ""},
    Runtime{"of-watchdog", Executor::http, Contract::of_watchdog, "", ""},
    Runtime{"classic-watchdog", Executor::stdio, Contract::classic_watchdog, "", ""},
};

}  // namespace

const Runtime* find_runtime(std::string_view name) {
  auto found = std::find_if(kRuntimes.begin(), kRuntimes.end(), [name](const Runtime& each) { return name.starts_with(each.prefix); });
  return found == kRuntimes.end() ? nullptr : &*found;
}

bool found_on_this_machine(const Runtime& runtime) { return runtime.program.empty() || sys::exists(std::string(runtime.program)); }

std::string available_runtimes() {
  std::string names;
  for (const auto& each : kRuntimes)
    if (found_on_this_machine(each)) names += (names.empty() ? "" : ", ") + std::string(each.prefix);
  return names;
}

size_t concurrency_of(const functions::Function& function) {
  const Runtime* runtime = find_runtime(function.runtime);
  bool one = !runtime || runtime->executor == Executor::zygote || runtime->prefix == "php" || runtime->contract == Contract::scf || runtime->contract == Contract::lambda;
  if (runtime && runtime->contract == Contract::knative && function.instance_concurrency <= 0) return kUnlimitedCalls;  // S4.18: containerConcurrency 0
  return one ? 1 : static_cast<size_t>(std::max<int64_t>(1, function.instance_concurrency));
}

bool freezes(const functions::Function& function) {
  const Runtime* runtime = find_runtime(function.runtime);
  return runtime && (runtime->contract == Contract::fc || runtime->contract == Contract::lambda || runtime->contract == Contract::scf);
}

std::string_view code_folder(Contract contract) {
  switch (contract) {
    case Contract::lambda: return "/var/task";
    case Contract::scf:
    case Contract::scf_web: return "/var/user";
    case Contract::of_watchdog:
    case Contract::classic_watchdog: return "/home/app";
    default: return "/code";
  }
}

}  // namespace mayfly::runtime
