#include "base/encoding.h"
#include "base/hash.h"
#include "flows/machine.h"

// What leaves the machine for a task: its parameters, and the token by which it is reported.

namespace mayfly::flows {
namespace {

constexpr size_t kTokenDigits = 32;       // 128 bits that nobody guesses
constexpr size_t kMaxTokenBytes = 4'096;  // names are at most 128 bytes each; anything longer is not ours

json::value resolve_params(const json::value& value, const Scope& scope) {
  if (const auto* text = value.if_string(); text != nullptr && view(*text).starts_with('$')) {
    auto path = Path::parse(view(*text));
    return path ? evaluate(*path, scope).value_or(json::value(nullptr)) : value;
  }
  if (const auto* object = value.if_object()) {
    json::object out;
    for (const auto& member : *object) out.insert_or_assign(member.key(), resolve_params(member.value(), scope));
    return out;
  }
  if (const auto* array = value.if_array()) {
    json::array out;
    for (const auto& element : *array) out.push_back(resolve_params(element, scope));
    return out;
  }
  return value;
}

}  // namespace

std::string make_token(const State& state, int64_t step, int attempt) {
  std::string random = hex_encode(hmac_sha256(state.secret, fmt::format("{}.{}", step, attempt))).substr(0, kTokenDigits);
  return base64_encode(fmt::format("v1#{}#{}#{}#{}", state.flow, state.execution, step, random));
}

std::optional<TokenAddress> read_token(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return std::nullopt;
  auto text = base64_decode(token);
  if (!text || !text->starts_with("v1#")) return std::nullopt;
  std::vector<std::string_view> parts;
  std::string_view rest = *text;
  for (size_t at = rest.find('#'); at != std::string_view::npos; at = rest.find('#')) {
    parts.push_back(rest.substr(0, at));
    rest.remove_prefix(at + 1);
  }
  TokenAddress out;
  if (parts.size() != 4) return std::nullopt;
  out.flow = parts[1];
  out.execution = parts[2];
  auto [end, error] = std::from_chars(parts[3].data(), parts[3].data() + parts[3].size(), out.step);
  if (error != std::errc{} || end != parts[3].data() + parts[3].size()) return std::nullopt;
  return out;
}

std::optional<TaskCall> task_call(const Definition& definition, const State& state, TaskRef ref) {
  auto found = state.steps.find(ref.step);
  if (found == state.steps.end()) return std::nullopt;
  const StepRun& step = *found->second;
  if (step.phase != StepRun::Phase::task || step.attempt != ref.attempt) return std::nullopt;
  const auto& task = std::get<TaskNode>(definition.node(step.node).what);
  TaskCall call{.resource = task.resource, .action = task.action, .pattern = task.pattern, .input = to_text(*step.input),
                .token = make_token(state, step.id, step.attempt), .timeout_s = task.timeout_s};
  Scope scope{.self = step.input.get(), .input = step.input.get(), .locals = {&step.parent->local},
              .flow = state.flow, .execution = state.execution, .token = call.token};
  call.params = resolve_params(task.params, scope);
  return call;
}

}  // namespace mayfly::flows
