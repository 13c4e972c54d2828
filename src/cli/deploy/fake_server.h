#pragma once
// A server in memory for tests of the command line: FC resources as JSON under their paths, flows, roles and policies, enough of each to
// be created, read, changed and listed. It checks nothing; what it was sent can be looked at.

#include <map>

#include "base/encoding.h"
#include "base/hash.h"
#include "cli/client.h"

namespace mayfly::cli {

class FakeServer final : public Transport {
 public:
  std::map<std::string, json::value> resources;  // "/services/x" -> body
  std::map<std::string, json::value> flows;
  std::map<std::string, json::object> roles, policies;
  std::map<std::string, std::set<std::string>> attached;
  std::vector<std::string> writes;  // "POST /services", "CreateFlow", in order

  std::string endpoint() const override { return "http://fake"; }

  Result<Reply> send(Outgoing request) override {
    std::string path = percent_decode(request.target.substr(0, request.target.find('?')));
    if (path == "/") return rpc(http::parse_query(request.body));
    if (path.starts_with("/2016-08-15")) return fc(request.method, path.substr(11), request.body);
    return Reply{.status = 404, .headers = {}, .body = {}};
  }

 private:
  static Reply ok(const json::value& body) { return {.status = 200, .headers = {}, .body = to_text(body)}; }
  static Reply missing(std::string_view code) { return {.status = 404, .headers = {}, .body = fmt::format(R"({{"ErrorCode":"{}","ErrorMessage":"none"}})", code)}; }

  static void unpack_code(json::object& body) {
    const json::value* code = body.if_contains("code");
    if (code == nullptr) return;
    body["codeChecksum"] = fmt::to_string(crc64(*base64_decode(string_or(*code, "zipFile"))));
    body.erase("code");
  }

  Reply fc(const std::string& method, const std::string& path, const std::string& text) {
    if (path.starts_with("/layers/")) return layers(method, path, text);
    if (method == "GET") return resources.contains(path) ? ok(resources[path]) : missing("NotFound");
    writes.push_back(method + " " + path);
    if (method == "DELETE") return resources.erase(path), ok(json::object());
    json::object body = parse_json(text)->as_object();
    unpack_code(body);
    std::string place = path;
    for (const char* key : {"triggerName", "functionName", "serviceName", "domainName"})
      if (method == "POST" && body.contains(key)) {
        place += "/" + string_or(body, key);
        break;
      }
    json::value& kept = resources[place];
    if (!kept.is_object()) kept = json::object();
    for (auto& member : body) kept.get_object()[member.key()] = member.value();
    return ok(kept);
  }

  // "/layers/x/versions": the newest comes first.
  Reply layers(const std::string& method, const std::string& path, const std::string& text) {
    json::value& all = resources[path];
    if (!all.is_array()) all = json::array();
    if (method == "GET") return all.get_array().empty() ? missing("LayerNotFound") : ok({{"layers", json::array{all.get_array().front()}}});
    writes.push_back(method + " " + path);
    json::object body = parse_json(text)->as_object();
    unpack_code(body);
    std::string name = path.substr(8, path.rfind('/') - 8);
    body["layerName"] = name;
    body["version"] = all.get_array().size() + 1;
    body["arn"] = fmt::format("acs:fc:r:1234:layers/{}/versions/{}", name, all.get_array().size() + 1);
    all.get_array().insert(all.get_array().begin(), body);
    return ok(body);
  }

  Reply rpc(const http::Query& form) {
    auto get = [&](std::string_view name) {
      const std::string* value = http::find(form, name);
      return value == nullptr ? std::string() : *value;
    };
    std::string action = get("Action"), flow = get("Name"), role = get("RoleName"), policy = get("PolicyName");
    if (action == "DescribeFlow") return flows.contains(flow) ? ok(flows[flow]) : missing("FlowNotExists");
    if (action == "GetRole") return roles.contains(role) ? ok({{"Role", roles[role]}}) : missing("EntityNotExist.Role");
    if (action == "GetPolicy") return policies.contains(policy) ? ok({{"DefaultPolicyVersion", policies[policy]}}) : missing("EntityNotExist.Policy");
    if (action == "ListPolicyVersions") return ok({{"PolicyVersions", {{"PolicyVersion", json::array()}}}});
    if (action == "ListPoliciesForRole") {
      json::array list;
      for (const std::string& name : attached[role]) list.push_back(json::object{{"PolicyName", name}});
      return ok({{"Policies", {{"Policy", list}}}});
    }
    writes.push_back(action);
    if (action == "CreateFlow" || action == "UpdateFlow")
      flows[flow] = {{"Name", flow}, {"Definition", get("Definition")}, {"Description", get("Description")}, {"RoleArn", get("RoleArn")}};
    if (action == "CreateRole") roles[role] = {{"RoleName", role}, {"AssumeRolePolicyDocument", get("AssumeRolePolicyDocument")}};
    if (action == "CreatePolicy" || action == "CreatePolicyVersion") policies[policy] = {{"PolicyDocument", get("PolicyDocument")}};
    if (action == "AttachPolicyToRole") attached[role].insert(policy);
    return ok(json::object());
  }
};

}  // namespace mayfly::cli
