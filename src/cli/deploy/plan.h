#pragma once
// Plan: what a deployment would do, found by reading only. Each step is one thing to create, to change or to leave, with the requests
// that make it so, in an order in which each finds what it needs. apply() then sends them; a second plan finds everything the same.

#include <functional>
#include <memory>
#include <optional>

#include "cli/client.h"
#include "cli/deploy/roles.h"
#include "cli/layers/install.h"

namespace mayfly::cli {

// Removed with this.
struct TemporaryFile {
  explicit TemporaryFile(std::string_view bytes);
  TemporaryFile(const TemporaryFile&) = delete;
  ~TemporaryFile();
  std::string path;
};

struct Call {
  enum class Api { fc, flows, access };
  Api api = Api::fc;
  std::string method;      // HTTP method, or the RPC action
  std::string path;        // fc only
  json::value body;        // fc only
  Parameters parameters;   // RPC only
  std::optional<LayerFile> package;            // fc only: becomes the body's `code`, uploaded if it is large
  std::shared_ptr<const TemporaryFile> holder; // of `package`, where nobody else keeps it; shared: plans are copied
};

struct Step {
  enum class Action { create, change, same };
  Action action = Action::same;
  std::string kind, name;                // "function", "photos/faces"
  std::vector<std::string> differences;  // of a change
  std::vector<Call> calls;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<std::string> warnings;
  std::vector<std::string> urls;  // of HTTP triggers
  bool changes_something() const {
    return std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.action != Step::Action::same; });
  }
};

struct PlanOptions {
  // Builds a layer of what the project in `folder` depends on; nullopt if it names nothing. Empty: functions bring what they need.
  std::function<Result<std::optional<BuiltLayer>>(const std::string& folder, const std::string& runtime)> dependencies;
};

Result<Plan> make_plan(ApiClient& client, const Template& wanted, const PlanOptions& options = {});
// Sends the calls of every step that is not the same; `done` hears of each step after its last call.
Result<void> apply(ApiClient& client, const Plan& plan, const std::function<void(const Step&)>& done);

json::value plan_json(const Plan& plan);
std::string plan_text(const Plan& plan);  // one line per step: "+ function photos/faces"

}  // namespace mayfly::cli
