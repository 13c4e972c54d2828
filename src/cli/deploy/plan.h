#pragma once
// Plan: what a deployment would do, found by reading only. Each step is one thing to create, to change or to leave, with the requests
// that make it so, in an order in which each finds what it needs. apply() then sends them; a second plan finds everything the same.

#include <functional>

#include "cli/client.h"
#include "cli/deploy/roles.h"

namespace mayfly::cli {

struct Call {
  enum class Api { fc, flows, access };
  Api api = Api::fc;
  std::string method;      // HTTP method, or the RPC action
  std::string path;        // fc only
  json::value body;        // fc only
  Parameters parameters;   // RPC only
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

Result<Plan> make_plan(ApiClient& client, const Template& wanted);
// Sends the calls of every step that is not the same; `done` hears of each step after its last call.
Result<void> apply(ApiClient& client, const Plan& plan, const std::function<void(const Step&)>& done);

json::value plan_json(const Plan& plan);
std::string plan_text(const Plan& plan);  // one line per step: "+ function photos/faces"

}  // namespace mayfly::cli
