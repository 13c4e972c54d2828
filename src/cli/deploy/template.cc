#include "cli/deploy/template.h"

#include <fmt/ranges.h>

#include <filesystem>

#include "cli/deploy/references.h"
#include "cli/deploy/template_schema.h"
#include "cli/deploy/yaml.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr std::string_view kPrefix = "Aliyun::Serverless::";
constexpr size_t kShownComplaints = 20;  // enough to mend a file in one go

bool is_name(std::string_view name, std::string_view extra) {
  if (name.empty() || name.size() > 128 || !(std::isalpha(static_cast<unsigned char>(name[0])) || name[0] == '_')) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || extra.find(c) != std::string_view::npos;
  });
}

std::string type_of(const json::value& resource) {
  std::string type = string_or(resource, "Type");
  return type.starts_with(kPrefix) ? type.substr(kPrefix.size()) : type;
}

json::object properties_of(const json::value& resource) {
  const json::value* properties = find(resource, "Properties");
  return properties != nullptr && properties->is_object() ? properties->get_object() : json::object();
}

// The logical id, unless the properties give a name of their own.
std::string name_of(std::string_view id, const json::value& resource, std::string_view property) {
  const json::value* properties = find(resource, "Properties");
  return properties == nullptr ? std::string(id) : string_or(*properties, property, id);
}

class Builder {
 public:
  explicit Builder(const TemplateSource& source) : source_(source) {}

  Result<Template> build() {
    out_.file = source_.file;
    out_.base_folder = source_.base_folder;
    MAYFLY_TRY(root_, parse_yaml(source_.text, source_.file));
    if (!source_.override_text.empty()) {
      MAYFLY_TRY(json::value over, parse_yaml(source_.override_text, "template.override.yml"));
      root_ = merge_deep(std::move(root_), over);
    }
    check_top();
    MAYFLY_TRY_VOID(verdict());
    MAYFLY_TRY_VOID(read_parameters());
    const json::object& resources = root_.at("Resources").get_object();
    for (const auto& resource : resources) collect_names(std::string(resource.key()), resource.value());
    for (const auto& resource : resources) MAYFLY_TRY_VOID(read_resource(std::string(resource.key()), resource.value()));
    MAYFLY_TRY_VOID(verdict());
    if (auto text = sys::read_file_if_exists(source_.base_folder + "/.funignore")) out_.ignore_text = *text;
    return std::move(out_);
  }

 private:
  void complain(const std::string& path, std::string_view what) { complaints_.push_back(fmt::format("{}: {}", path, what)); }
  void check_schema(const json::value& value, const Schema& schema, const std::string& path) {
    for (std::string& complaint : complaints(value, schema, path)) complaints_.push_back(std::move(complaint));
  }
  Result<void> verdict() {
    if (complaints_.empty()) return {};
    size_t more = complaints_.size() > kShownComplaints ? complaints_.size() - kShownComplaints : 0;
    complaints_.resize(complaints_.size() - more);
    std::string text = fmt::format("{} is not valid:\n  {}", source_.file, fmt::join(complaints_, "\n  "));
    if (more > 0) text += fmt::format("\n  and {} more", more);
    return fail(Kind::usage, text);
  }

  void check_top() {
    if (!root_.is_object()) return complain(source_.file, "should be a map with ROSTemplateFormatVersion, Transform and Resources");
    static const Schema schema = object({{"ROSTemplateFormatVersion", word({"2015-09-01"}), true},
                                         {"Transform", one_of("Aliyun::Serverless-2018-04-03", {word({"Aliyun::Serverless-2018-04-03"}),
                                                                                                list(word({"Aliyun::Serverless-2018-04-03"}))})},
                                         {"Description", text()}, {"Parameters", map_of(map_of(anything()))},
                                         {"Resources", map_of(map_of(anything())), true}, {"Globals", anything()}, {"Outputs", anything()},
                                         {"Conditions", anything()}, {"Mappings", anything()}, {"Metadata", anything()}});
    for (std::string& complaint : complaints(root_, schema, "template")) {
      if (complaint.starts_with("template.")) complaint.erase(0, 9);
      complaints_.push_back(std::move(complaint));
    }
  }

  Result<void> read_parameters() {
    const json::value* declared = find(root_, "Parameters");
    for (const auto& [name, text] : source_.parameters)
      if (declared == nullptr || find(*declared, name) == nullptr) return fail(Kind::usage, "--parameter " + name + ": the template declares no such parameter");
    if (declared == nullptr) return {};
    for (const auto& parameter : declared->get_object()) {
      std::string name(parameter.key());
      if (!is_name(name, "") || name[0] == '_') complain("Parameters." + name, "a parameter's name should be letters and digits");
      std::string type = string_or(parameter.value(), "Type", "String");
      auto given = source_.parameters.find(name);
      if (given == source_.parameters.end()) {
        if (const json::value* value = find(parameter.value(), "Default")) names_.parameters[name] = *value;
        continue;
      }
      MAYFLY_TRY(names_.parameters[name], typed(given->second, type, name));
    }
    return verdict();
  }

  Result<json::value> typed(const std::string& text, const std::string& type, const std::string& name) {
    if (type == "CommaDelimitedList") {
      json::array items;
      for (size_t at = 0; at <= text.size();) {
        size_t comma = std::min(text.find(',', at), text.size());
        items.push_back(json::string(text.substr(at, comma - at)));
        at = comma + 1;
      }
      return json::value(std::move(items));
    }
    if (type == "String") return json::value(json::string(text));
    auto value = parse_json(text);
    bool fits = value && (type == "Json" || (type == "Number" && value->is_number()) || (type == "Boolean" && value->is_bool()));
    if (!fits) return fail(Kind::usage, fmt::format("--parameter {}: \"{}\" is not a {}", name, text, type));
    return std::move(*value);
  }

  void collect_names(const std::string& id, const json::value& resource) {
    std::string type = type_of(resource);
    if (type == "Service") {
      names_.resources[id] = "acs:fc:::services/" + id;
      names_.attributes[id + ".ServiceName"] = id;
      for (const auto& member : resource.get_object()) {
        if (type_of(member.value()) != "Function") continue;
        std::string function(member.key());
        std::string name = name_of(function, member.value(), "FunctionName");
        std::string arn = fmt::format("acs:fc:::services/{}/functions/{}", id, name);
        names_.resources[id + "/" + function] = arn;
        for (const char* attribute : {".ARN", ".Arn", ".FunctionArn"}) names_.attributes[id + function + attribute] = arn;
        names_.attributes[id + function + ".FunctionName"] = name;
      }
    } else if (type == "Flow") {
      std::string name = name_of(id, resource, "Name");
      names_.resources[id] = "acs:fnf:::flow/" + name;
      for (const char* attribute : {".ARN", ".Arn"}) names_.attributes[id + attribute] = names_.resources[id];
      for (const char* attribute : {".Name", ".FlowName"}) names_.attributes[id + attribute] = name;
    }
  }

  Result<void> read_resource(const std::string& id, const json::value& raw) {
    std::string path = "Resources." + id;
    if (!is_name(id, ".-")) complain(path, "a resource's name should be letters, digits, '_', '.' and '-'");
    MAYFLY_TRY(json::value resource, resolve(raw, names_, path));
    std::string type = type_of(resource);
    if (type == "Service") {
      read_service(id, path, resource);
    } else if (type == "Flow") {
      return read_flow(id, path, resource, raw);
    } else if (type == "CustomDomain") {
      read_domain(id, path, resource);
    } else if (type == "TableStore" || type == "Log" || type == "MNSTopic" || type == "Api") {
      out_.warnings.push_back(fmt::format("{} is of type {}, which this server has no such resource for: skipped", path, string_or(resource, "Type")));
    } else {
      complain(path + ".Type", type.empty() ? "is missing" : "\"" + string_or(resource, "Type") + "\" is not a type this tool knows");
    }
    return {};
  }

  void read_service(const std::string& id, const std::string& path, const json::value& resource) {
    ServiceSpec service{.name = id, .path = path, .properties = properties_of(resource), .functions = {}};
    if (const json::value* properties = find(resource, "Properties")) check_schema(*properties, service_schema(), path + ".Properties");
    for (const auto& member : resource.get_object()) {
      std::string key(member.key());
      if (key == "Type" || key == "Properties" || key == "DependsOn") continue;
      if (type_of(member.value()) == "Function")
        service.functions.push_back(read_function(key, path + "." + key, member.value()));
      else
        complain(path + "." + key, "should be a function with Type: Aliyun::Serverless::Function");
    }
    out_.services.push_back(std::move(service));
  }

  FunctionSpec read_function(const std::string& id, const std::string& path, const json::value& resource) {
    FunctionSpec function{.name = name_of(id, resource, "FunctionName"), .path = path, .properties = properties_of(resource), .events = {}};
    if (!is_name(function.name, "-")) complain(path, "a function's name should be letters, digits, '_' and '-'");
    for (const auto& member : resource.get_object()) {
      std::string_view key(member.key());
      if (key != "Type" && key != "Properties" && key != "Events" && key != "DependsOn") complain(fmt::format("{}.{}", path, key), "unknown property");
    }
    check_schema(function.properties, function_schema(), path + ".Properties");
    std::string runtime = string_or(function.properties, "Runtime");
    if (runtime == "custom-container") {
      if (!function.properties.contains("CustomContainerConfig")) complain(path + ".Properties", "the property CustomContainerConfig is missing");
    } else {
      if (!function.properties.contains("CodeUri")) complain(path + ".Properties", "the property CodeUri is missing");
      if (!function.properties.contains("Handler") && runtime != "custom") complain(path + ".Properties", "the property Handler is missing");
    }
    if (const json::value* events = find(resource, "Events")) {
      if (!events->is_object()) complain(path + ".Events", "should be a map");
      else
        for (const auto& event : events->get_object()) read_event(std::string(event.key()), path + ".Events", event.value(), function);
    }
    return function;
  }

  void read_event(const std::string& name, const std::string& parent, const json::value& value, FunctionSpec& function) {
    EventSpec event{.name = name, .type = string_or(value, "Type"), .path = parent + "." + name, .properties = properties_of(value)};
    if (!is_name(name, "-")) complain(event.path, "an event's name should be letters, digits, '_' and '-'");
    const Schema* schema = event_schema(event.type);
    if (schema == nullptr) {
      complain(event.path + ".Type", "should be one of Timer, HTTP, OSS, Log, MNSTopic, RDS, TableStore, CDN");
      return;
    }
    if (const json::value* properties = find(value, "Properties")) check_schema(*properties, *schema, event.path + ".Properties");
    else if (event.type != "HTTP") complain(event.path, "the property Properties is missing");
    if (event.type == "OSS")
      for (auto [one, other] : {std::pair("BucketName", "bucketName"), std::pair("Events", "events")})
        if (!event.properties.contains(one) && !event.properties.contains(other)) complain(event.path + ".Properties", fmt::format("the property {} is missing", one));
    function.events.push_back(std::move(event));
  }

  Result<void> read_flow(const std::string& id, const std::string& path, const json::value& resource, const json::value& raw) {
    FlowSpec flow{.name = name_of(id, resource, "Name"), .path = path, .properties = properties_of(resource), .definition = {}};
    const json::value* raw_properties = find(raw, "Properties");
    check_schema(raw_properties == nullptr ? json::value(json::object()) : *raw_properties, flow_schema(), path + ".Properties");
    bool file = flow.properties.contains("DefinitionUri");
    if (file == flow.properties.contains("Definition")) {
      complain(path + ".Properties", "should have exactly one of DefinitionUri and Definition");
      return {};
    }
    if (!file) {
      flow.definition = string_or(flow.properties, "Definition");
    } else {
      std::string name = string_or(flow.properties, "DefinitionUri");
      auto text = sys::read_file_if_exists((std::filesystem::path(source_.base_folder) / name).string());
      if (!text) {
        complain(path + ".Properties.DefinitionUri", "there is no file " + name);
        return {};
      }
      MAYFLY_TRY(json::value definition, parse_yaml(*text, name));
      MAYFLY_TRY(json::value resolved, resolve(definition, names_, name));
      flow.definition = write_yaml(resolved);
    }
    out_.flows.push_back(std::move(flow));
    return {};
  }

  void read_domain(const std::string& id, const std::string& path, const json::value& resource) {
    DomainSpec domain{.name = name_of(id, resource, "DomainName"), .path = path, .properties = properties_of(resource)};
    check_schema(domain.properties, domain_schema(), path + ".Properties");
    if (domain.name == "Auto") {
      out_.warnings.push_back(path + " asks for a generated domain, which needs the vendor's name servers: skipped");
      return;
    }
    out_.domains.push_back(std::move(domain));
  }

  const TemplateSource& source_;
  Template out_;
  Names names_;
  json::value root_;
  std::vector<std::string> complaints_;
};

}  // namespace

json::value merge_deep(json::value base, const json::value& over) {
  if (!base.is_object() || !over.is_object()) return over;
  for (const auto& member : over.get_object()) {
    json::value& place = base.get_object()[member.key()];
    place = merge_deep(std::move(place), member.value());
  }
  return base;
}

Result<Template> parse_template(const TemplateSource& source) { return Builder(source).build(); }

Result<Template> load_template(const std::string& folder, const std::string& file, std::map<std::string, std::string> parameters) {
  namespace fs = std::filesystem;
  std::string chosen = file;
  if (chosen.empty()) {
    for (const char* candidate : {".fun/build/artifacts/template.yml", ".fun/build/artifacts/template.yaml", "template.yml", "template.yaml",
                                  "faas.yml", "faas.yaml"}) {
      chosen = (fs::path(folder) / candidate).string();
      if (sys::exists(chosen)) break;
      chosen.clear();
    }
  }
  if (chosen.empty() || !sys::exists(chosen))
    return fail(Kind::usage, file.empty() ? "there is no template.yml in " + folder : "there is no file " + file,
                "examples/ has templates to start from; -t names another file");
  TemplateSource source{.text = sys::read_file(chosen), .override_text = {}, .file = chosen, .base_folder = {}, .parameters = std::move(parameters)};
  source.base_folder = fs::path(chosen).has_parent_path() ? fs::path(chosen).parent_path().string() : ".";
  for (const char* name : {"/template.override.yml", "/template.override.yaml"})
    if (auto text = sys::read_file_if_exists(source.base_folder + name)) source.override_text = *text;
  return parse_template(source);
}

}  // namespace mayfly::cli
