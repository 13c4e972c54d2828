#pragma once
// A deployment template (funcraft's template.yml, aliyun-fc.md section 1) read, checked against the closed schema and with every
// reference resolved: what is left says exactly which services, functions, triggers, flows and domains should exist. Plain values; the
// plan (plan.h) compares them with the server.

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/failure.h"

namespace mayfly::cli {

struct EventSpec {
  std::string name, type;    // "Timer", "OSS", ...
  std::string path;          // in the template, for messages
  json::object properties;
};

struct FunctionSpec {
  std::string name, path;
  json::object properties;
  std::vector<EventSpec> events;
};

struct ServiceSpec {
  std::string name, path;
  json::object properties;
  std::vector<FunctionSpec> functions;
};

struct FlowSpec {
  std::string name, path;
  json::object properties;
  std::string definition;  // YAML text with its references resolved
};

struct DomainSpec {
  std::string name, path;
  json::object properties;
};

struct Template {
  std::string file;         // that it was read from
  std::string base_folder;  // relative paths start here
  std::string ignore_text;  // of .funignore beside it
  std::vector<ServiceSpec> services;
  std::vector<FlowSpec> flows;
  std::vector<DomainSpec> domains;
  std::vector<std::string> warnings;  // what is understood but not deployed
};

struct TemplateSource {
  std::string text;
  std::string override_text;  // template.override.yml, empty if none
  std::string file = "template.yml";
  std::string base_folder = ".";
  std::map<std::string, std::string> parameters;  // from --parameter
};

// Reads flow definitions and .funignore from base_folder; otherwise works on the texts alone.
Result<Template> parse_template(const TemplateSource& source);
// `file` empty: looks in `folder` in funcraft's order (aliyun-fc.md section 2.1).
Result<Template> load_template(const std::string& folder, const std::string& file, std::map<std::string, std::string> parameters);

// Objects merge member by member, anything else is replaced.
json::value merge_deep(json::value base, const json::value& over);

}  // namespace mayfly::cli
