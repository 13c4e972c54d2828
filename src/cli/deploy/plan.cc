#include "cli/deploy/plan.h"

#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "cli/deploy/difference.h"
#include "cli/deploy/package.h"
#include "cli/deploy/yaml.h"
#include "cli/layers/publish.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

using Action = Step::Action;

constexpr size_t kPolicyVersions = 5;  // the vendor keeps at most this many of one policy
constexpr std::string_view kPendingLayer = "published by this run: ";  // and the layer's name, where an ARN will stand

// What the server has, or nullopt if it says there is no such thing.
Result<std::optional<json::value>> if_exists(Result<json::value> answer) {
  if (answer) return std::optional(std::move(*answer));
  if (is_missing(answer.error())) return std::optional<json::value>();
  return std::unexpected(std::move(answer).error());
}

// The same text, or texts that mean the same: another deployer quotes and wraps YAML its own way.
bool same_definition(const std::string& present, const std::string& wanted) {
  if (present == wanted) return true;
  auto one = parse_yaml(present, ""), other = parse_yaml(wanted, "");
  return one && other && *one == *other;
}

class Planner {
 public:
  Planner(ApiClient& client, const Template& wanted, const PlanOptions& options)
      : client_(client), wanted_(wanted), options_(options), place_{client.region(), client.account()} {}

  Result<Plan> plan() {
    plan_.warnings = wanted_.warnings;
    for (const ServiceSpec& service : wanted_.services) MAYFLY_TRY_VOID(plan_service(service));
    for (const FlowSpec& flow : wanted_.flows) MAYFLY_TRY_VOID(plan_flow(flow));
    for (const DomainSpec& domain : wanted_.domains) MAYFLY_TRY_VOID(plan_domain(domain));
    return std::move(plan_);
  }

 private:
  // The step for one FC resource: POST to `collection` when absent, PUT to `path` when different.
  Step resource_step(std::string kind, std::string name, std::string collection, std::string path, json::object body, const std::optional<json::value>& present) {
    Step step{.kind = std::move(kind), .name = std::move(name)};
    if (!present) {
      step.action = Action::create;
      step.calls.push_back({.method = "POST", .path = std::move(collection), .body = std::move(body)});
      return step;
    }
    step.differences = differences(body, *present);
    if (step.differences.empty()) return step;
    step.action = Action::change;
    step.calls.push_back({.method = "PUT", .path = std::move(path), .body = std::move(body)});
    return step;
  }

  Result<std::optional<json::value>> present(const std::string& path) { return if_exists(client_.fc_json("GET", path)); }

  Result<void> plan_service(const ServiceSpec& service) {
    std::string role = string_or(service.properties, "Role");
    if (auto generated = service_role(service, place_)) {
      MAYFLY_TRY_VOID(plan_role(*generated));
      role = role_arn(*generated, place_);
    }
    for (const char* key : {"VpcConfig", "LogConfig", "NasConfig"})
      if (string_or(service.properties, key) == "Auto")
        plan_.warnings.push_back(fmt::format("{}.Properties.{}: Auto makes cloud resources that a Mayfly server does not need: left unset", service.path, key));
    std::string path = "/services/" + service.name;
    MAYFLY_TRY(std::optional<json::value> there, present(path));
    plan_.steps.push_back(resource_step("service", service.name, "/services", path, service_body(service, role), there));
    for (const FunctionSpec& function : service.functions) MAYFLY_TRY_VOID(plan_function(service, function, there.has_value()));
    return {};
  }

  Result<void> plan_function(const ServiceSpec& service, const FunctionSpec& function, bool service_exists) {
    std::string collection = "/services/" + service.name + "/functions";
    std::string path = collection + "/" + function.name, name = service.name + "/" + function.name;
    std::optional<json::value> there;
    if (service_exists) {
      MAYFLY_TRY(there, present(path));
    }
    json::object body = function_body(function);
    MAYFLY_TRY_VOID(plan_dependencies(service, function, body));
    MAYFLY_TRY(CodeSource code, code_of(function));
    bool code_changed = there && code.is_there() && string_or(*there, "codeChecksum") != code.checksum;
    Step step = resource_step("function", name, collection, path, std::move(body), there);
    if (code_changed) {
      if (step.action == Action::same) step.calls.push_back({.method = "PUT", .path = path, .body = json::object()});
      step.action = Action::change;
      step.differences.insert(step.differences.begin(), "code");
    }
    if (code.is_there() && (code_changed || step.action == Action::create)) {
      Call& call = step.calls.at(0);
      if (!code.member.is_null()) call.body.get_object()["code"] = std::move(code.member);
      call.package = std::move(code.package);
      call.holder = std::move(code.holder);
    }
    plan_.steps.push_back(std::move(step));
    MAYFLY_TRY_VOID(plan_async(function, path, name, there.has_value()));
    for (const EventSpec& event : function.events) MAYFLY_TRY_VOID(plan_trigger(service, function, event, path, there.has_value()));
    return {};
  }

  // A function's code: as the API's member, or as a file that is too large for a request. Neither for a container.
  struct CodeSource {
    json::value member;
    std::optional<LayerFile> package;
    std::shared_ptr<const TemporaryFile> holder;
    std::string checksum;  // that the server would have for it
    bool is_there() const { return !member.is_null() || package; }
  };

  Result<CodeSource> code_of(const FunctionSpec& function) {
    std::string uri = string_or(function.properties, "CodeUri");
    if (uri.empty()) return CodeSource{};
    if (uri.starts_with("oss://") || uri.starts_with("mayfly://")) return code_in_bucket(function, uri.substr(uri.find("://") + 3));
    auto package = make_package(code_folder(uri), {.base_folder = wanted_.base_folder, .ignore_text = wanted_.ignore_text, .runtime = string_or(function.properties, "Runtime")});
    if (!package) {
      package.error().message = function.path + ".Properties.CodeUri: " + package.error().message;
      return std::unexpected(std::move(package).error());
    }
    CodeSource source{.member = nullptr, .package = {}, .holder = {}, .checksum = package->checksum};
    if (package->zip.size() <= kInlinePackageBytes) {
      source.member = json::object{{"zipFile", base64_encode(package->zip)}};
    } else {
      source.holder = std::make_shared<const TemporaryFile>(package->zip);
      source.package = LayerFile{.path = source.holder->path, .checksum = package->checksum, .digest = {}, .bytes = package->zip.size()};
    }
    return source;
  }

  Result<CodeSource> code_in_bucket(const FunctionSpec& function, const std::string& place) {
    size_t slash = place.find('/');
    if (slash == std::string::npos || slash + 1 == place.size()) return fail(Kind::usage, function.path + ".Properties.CodeUri: should be oss://bucket/object");
    std::string bucket = place.substr(0, slash), key = place.substr(slash + 1);
    MAYFLY_TRY(Reply head, client_.object({.method = "HEAD", .bucket = bucket, .key = key}));
    return CodeSource{.member = json::object{{"ossBucketName", bucket}, {"ossObjectName", key}}, .package = {}, .holder = {},
                      .checksum = head.headers.get("x-oss-hash-crc64ecma")};
  }

  std::string code_folder(const std::string& uri) const { return (std::filesystem::path(wanted_.base_folder) / uri).string(); }

  // The layer of what the function's project depends on, behind the function's other layers, which cover it.
  Result<void> plan_dependencies(const ServiceSpec& service, const FunctionSpec& function, json::object& body) {
    std::string uri = string_or(function.properties, "CodeUri");
    if (!options_.dependencies || uri.empty() || uri.find("://") != uri.npos || !std::filesystem::is_directory(code_folder(uri))) return {};
    MAYFLY_TRY(std::optional<BuiltLayer> built, options_.dependencies(code_folder(uri), string_or(function.properties, "Runtime")));
    if (!built) return {};
    std::string name = layer_name_of(service.name + "-" + function.name);
    MAYFLY_TRY(std::optional<PublishedLayer> present, newest_layer(client_, name, built->file.checksum));
    Step step{.action = present ? Action::same : Action::create, .kind = "layer", .name = name};
    if (!present) {
      json::object layer{{"description", fmt::format("what {}/{} depends on", service.name, function.name)}, {"compatibleRuntime", json::value_from(built->runtimes)}};
      step.calls.push_back({.method = "POST", .path = "/layers/" + name + "/versions", .body = std::move(layer), .package = built->file});
    }
    plan_.steps.push_back(std::move(step));
    body["layers"].as_array().emplace_back(present ? present->arn : std::string(kPendingLayer) + name);
    return {};
  }

  Result<void> plan_async(const FunctionSpec& function, const std::string& path, const std::string& name, bool function_exists) {
    json::object body = async_body(function);
    if (body.empty()) return {};
    std::optional<json::value> there;
    if (function_exists) {
      MAYFLY_TRY(there, present(path + "/async-invoke-config"));
    }
    Step step = resource_step("async configuration", name, path + "/async-invoke-config", path + "/async-invoke-config", std::move(body), there);
    for (Call& call : step.calls) call.method = "PUT";  // this resource is never posted
    plan_.steps.push_back(std::move(step));
    return {};
  }

  Result<void> plan_trigger(const ServiceSpec& service, const FunctionSpec& function, const EventSpec& event, const std::string& function_path, bool function_exists) {
    std::string role;
    if (auto generated = trigger_role(event, service.name, function.name, place_)) {
      role = role_arn(*generated, place_);
      if (planned_roles_.insert(generated->name + " " + generated->policies[0].name).second) MAYFLY_TRY_VOID(plan_role(*generated));
    }
    MAYFLY_TRY(json::object body, trigger_body(event, role, place_));
    std::string collection = function_path + "/triggers", path = collection + "/" + event.name;
    std::optional<json::value> there;
    if (function_exists) {
      MAYFLY_TRY(there, present(path));
    }
    if (event.type == "HTTP")
      plan_.urls.push_back(fmt::format("{}/2016-08-15/proxy/{}/{}/", client_.endpoint(), service.name, function.name));
    std::string name = fmt::format("{}/{}/{}", service.name, function.name, event.name);
    bool retyped = there && string_or(*there, "triggerType") != string_or(body, "triggerType");
    Step step = resource_step("trigger", name, collection, path, body, there);
    if (retyped)  // a trigger's type and source are fixed: make it anew
      step.calls = {{.method = "DELETE", .path = path}, {.method = "POST", .path = collection, .body = std::move(body)}};
    plan_.steps.push_back(std::move(step));
    return {};
  }

  Result<void> plan_flow(const FlowSpec& flow) {
    std::string role = string_or(flow.properties, "Role");
    if (auto generated = flow_role(flow, place_)) {
      MAYFLY_TRY_VOID(plan_role(*generated));
      role = role_arn(*generated, place_);
    }
    MAYFLY_TRY(std::optional<json::value> there, if_exists(client_.rpc(Product::flows, "DescribeFlow", {{"Name", flow.name}})));
    std::string description = string_or(flow.properties, "Description");
    Parameters parameters{{"Name", flow.name}, {"Definition", flow.definition}, {"Description", description}, {"Type", "FDL"}, {"RoleArn", role}};
    Step step{.action = there ? Action::same : Action::create, .kind = "flow", .name = flow.name};
    if (there) {
      if (!same_definition(string_or(*there, "Definition"), flow.definition)) step.differences.push_back("definition");
      json::value present_words = {{"description", string_or(*there, "Description")}, {"role", string_or(*there, "RoleArn")}};
      for (std::string& line : differences({{"description", description}, {"role", role}}, present_words)) step.differences.push_back(std::move(line));
      if (!step.differences.empty()) step.action = Action::change;
    }
    if (step.action != Action::same)
      step.calls.push_back({.api = Call::Api::flows, .method = there ? "UpdateFlow" : "CreateFlow", .parameters = std::move(parameters)});
    plan_.steps.push_back(std::move(step));
    return {};
  }

  Result<void> plan_domain(const DomainSpec& domain) {
    MAYFLY_TRY(json::object body, domain_body(domain, wanted_.base_folder));
    std::string path = "/custom-domains/" + domain.name;
    MAYFLY_TRY(std::optional<json::value> there, present(path));
    plan_.steps.push_back(resource_step("domain", domain.name, "/custom-domains", path, std::move(body), there));
    return {};
  }

  static Call access(std::string action, Parameters parameters) {
    return {.api = Call::Api::access, .method = std::move(action), .parameters = std::move(parameters)};
  }

  Result<void> plan_role(const RoleSpec& role) {
    Step step{.kind = "role", .name = role.name};
    MAYFLY_TRY(std::optional<json::value> there, if_exists(client_.rpc(Product::access, "GetRole", {{"RoleName", role.name}})));
    if (!there) {
      json::object trust{{"Statement", json::array{json::object{{"Action", "sts:AssumeRole"}, {"Effect", "Allow"},
                                                                {"Principal", {{"Service", json::array{role.trusted}}}}}}}, {"Version", "1"}};
      step.action = Action::create;
      step.calls.push_back(access("CreateRole", {{"RoleName", role.name}, {"Description", "made by mayfly deploy"}, {"AssumeRolePolicyDocument", to_text(trust)}}));
    }
    std::set<std::string> attached;
    if (there) {
      MAYFLY_TRY(json::value list, client_.rpc(Product::access, "ListPoliciesForRole", {{"RoleName", role.name}}));
      if (const json::value* policies = find(list, "Policies"))
        if (const json::value* items = find(*policies, "Policy"); items != nullptr && items->is_array())
          for (const json::value& item : items->get_array()) attached.insert(string_or(item, "PolicyName"));
    }
    for (const PolicySpec& policy : role.policies) {
      if (!policy.document.empty()) MAYFLY_TRY_VOID(plan_policy(policy, step));
      if (attached.contains(policy.name)) continue;
      step.differences.push_back("policy " + policy.name + ": attached");
      step.calls.push_back(access("AttachPolicyToRole", {{"PolicyType", policy.document.empty() ? "System" : "Custom"},
                                                         {"PolicyName", policy.name}, {"RoleName", role.name}}));
    }
    if (step.action == Action::same && !step.calls.empty()) step.action = Action::change;
    plan_.steps.push_back(std::move(step));
    return {};
  }

  Result<void> plan_policy(const PolicySpec& policy, Step& step) {
    Parameters name{{"PolicyType", "Custom"}, {"PolicyName", policy.name}};
    MAYFLY_TRY(std::optional<json::value> there, if_exists(client_.rpc(Product::access, "GetPolicy", name)));
    if (!there) {
      step.calls.push_back(access("CreatePolicy", {{"PolicyName", policy.name}, {"Description", "made by mayfly deploy"}, {"PolicyDocument", policy.document}}));
      return {};
    }
    std::string present;
    if (const json::value* version = find(*there, "DefaultPolicyVersion")) present = string_or(*version, "PolicyDocument");
    auto parsed = parse_json(present);
    if (parsed && differences(*parse_json(policy.document), *parsed).empty()) return {};
    step.differences.push_back("policy " + policy.name + ": document");
    MAYFLY_TRY(json::value versions, client_.rpc(Product::access, "ListPolicyVersions", name));
    std::vector<std::string> old;
    if (const json::value* list = find(versions, "PolicyVersions"))
      if (const json::value* items = find(*list, "PolicyVersion"); items != nullptr && items->is_array())
        for (const json::value& item : items->get_array())
          if (!bool_or(item, "IsDefaultVersion")) old.push_back(string_or(item, "VersionId"));
    if (old.size() + 1 >= kPolicyVersions) {
      Parameters oldest{{"PolicyName", policy.name}, {"VersionId", *std::min_element(old.begin(), old.end())}};
      step.calls.push_back(access("DeletePolicyVersion", std::move(oldest)));
    }
    step.calls.push_back(access("CreatePolicyVersion", {{"PolicyName", policy.name}, {"PolicyDocument", policy.document}, {"SetAsDefault", "true"}}));
    return {};
  }

  ApiClient& client_;
  const Template& wanted_;
  const PlanOptions& options_;
  Place place_;
  Plan plan_;
  std::set<std::string> planned_roles_;
};

}  // namespace

TemporaryFile::TemporaryFile(std::string_view bytes) : path(std::filesystem::temp_directory_path().string() + "/mayfly-package-XXXXXX") {
  sys::Fd file(::mkstemp(path.data()));
  sys::check(file.get(), "mkstemp", path);
  sys::write_all(file.get(), bytes, path);
}
TemporaryFile::~TemporaryFile() { ::unlink(path.c_str()); }

Result<Plan> make_plan(ApiClient& client, const Template& wanted, const PlanOptions& options) { return Planner(client, wanted, options).plan(); }

namespace {

// Layers that this run has published, by name, for the functions that were planned with them.
using Published = std::map<std::string, std::string>;

void fill_in_layers(json::value& body, const Published& published) {
  json::value* layers = body.is_object() ? body.get_object().if_contains("layers") : nullptr;
  if (layers == nullptr || !layers->is_array()) return;
  for (json::value& each : layers->get_array())
    if (each.is_string() && view(each.get_string()).starts_with(kPendingLayer)) each = published.at(std::string(view(each.get_string()).substr(kPendingLayer.size())));
}

Result<void> send(ApiClient& client, Call call, Published& published) {
  if (call.api != Call::Api::fc) {
    MAYFLY_TRY([[maybe_unused]] json::value answer, client.rpc(call.api == Call::Api::flows ? Product::flows : Product::access, call.method, call.parameters));
    return {};
  }
  fill_in_layers(call.body, published);
  if (!call.package) {
    MAYFLY_TRY([[maybe_unused]] json::value answer, client.fc_json(call.method, call.path, call.body));
    return {};
  }
  Progress progress(is_terminal(2));
  MAYFLY_TRY(json::value code, package_member(client, *call.package, progress));
  call.body.get_object()["code"] = std::move(code);
  MAYFLY_TRY(Reply reply, client.fc(call.method, call.path, to_text(call.body), {}, {}, kPackageTimeoutUs));
  auto answer = parse_json(reply.body);
  if (answer && find(*answer, "layerName")) published[string_or(*answer, "layerName")] = string_or(*answer, "arn");
  return {};
}

}  // namespace

Result<void> apply(ApiClient& client, const Plan& plan, const std::function<void(const Step&)>& done) {
  Published published;
  for (const Step& step : plan.steps) {
    for (const Call& call : step.calls) {
      auto sent = send(client, call, published);
      if (sent) continue;
      sent.error().message = fmt::format("{} {}: {}", step.kind, step.name, sent.error().message);
      return sent;
    }
    done(step);
  }
  return {};
}

json::value plan_json(const Plan& plan) {
  static constexpr std::string_view kNames[] = {"create", "change", "same"};
  json::array steps;
  for (const Step& step : plan.steps) {
    json::object line{{"action", kNames[static_cast<size_t>(step.action)]}, {"kind", step.kind}, {"name", step.name}};
    if (step.action == Action::change) line["differences"] = json::value_from(step.differences);
    steps.push_back(std::move(line));
  }
  return {{"steps", std::move(steps)}, {"warnings", json::value_from(plan.warnings)}, {"urls", json::value_from(plan.urls)}};
}

std::string plan_text(const Plan& plan) {
  static constexpr char kMarks[] = {'+', '~', '='};
  std::string text;
  for (const Step& step : plan.steps) {
    text += fmt::format("  {} {} {}\n", kMarks[static_cast<size_t>(step.action)], step.kind, step.name);
    if (step.action == Action::change)
      for (const std::string& difference : step.differences) text += "      " + difference + "\n";
  }
  return text;
}

}  // namespace mayfly::cli
