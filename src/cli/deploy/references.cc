#include "cli/deploy/references.h"

namespace mayfly::cli {
namespace {

std::unexpected<Failure<Refusal>> refuse(const std::string& path, const std::string& what, std::string hint = {}) {
  return fail(Kind::usage, path + ": " + what, std::move(hint));
}

std::string plain_text(const json::value& value) { return value.is_string() ? std::string(view(value.get_string())) : to_text(value); }

Result<json::value> ref(const std::string& name, const Names& names, const std::string& path) {
  if (auto parameter = names.parameters.find(name); parameter != names.parameters.end()) return parameter->second;
  if (auto resource = names.resources.find(name); resource != names.resources.end()) return json::value(json::string(resource->second));
  return refuse(path, "Ref names \"" + name + "\", which is neither a parameter with a value nor a resource of this template");
}

Result<json::value> attribute(const json::value& argument, const Names& names, const std::string& path) {
  std::string name;
  if (argument.is_string()) name = view(argument.get_string());
  if (const json::array* parts = argument.if_array(); parts != nullptr && parts->size() == 2 && (*parts)[0].is_string() && (*parts)[1].is_string())
    name = plain_text((*parts)[0]) + "." + plain_text((*parts)[1]);
  if (name.empty()) return refuse(path, "Fn::GetAtt should be a resource and an attribute");
  std::string joined = name;
  std::erase(joined, '/');  // svc/fn.ARN and the packaged form svcfn.ARN are the same
  if (auto found = names.attributes.find(joined); found != names.attributes.end()) return json::value(json::string(found->second));
  return refuse(path, "Fn::GetAtt names \"" + name + "\", which no resource of this template has");
}

Result<json::value> sub(const json::value& argument, const Names& names, const std::string& path) {
  if (argument.is_string()) {
    MAYFLY_TRY(std::string text, substitute(view(argument.get_string()), names, path));
    return json::value(json::string(text));
  }
  const json::array* parts = argument.if_array();
  if (parts == nullptr || parts->empty() || parts->size() > 2 || !(*parts)[0].is_string() || (parts->size() == 2 && !(*parts)[1].is_object()))
    return refuse(path, "Fn::Sub should be a text, or a list of a text and a map");
  Names local = names;
  if (parts->size() == 2) {
    for (const auto& member : (*parts)[1].get_object()) {
      MAYFLY_TRY(json::value value, resolve(member.value(), names, path + "." + std::string(member.key())));
      local.parameters[std::string(member.key())] = std::move(value);
    }
  }
  MAYFLY_TRY(std::string text, substitute(view((*parts)[0].get_string()), local, path));
  return json::value(json::string(text));
}

}  // namespace

Result<std::string> substitute(std::string_view text, const Names& names, const std::string& path) {
  std::string out;
  while (true) {
    size_t open = text.find("${");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    text.remove_prefix(open + 2);
    size_t close = text.find('}');
    if (close == std::string_view::npos) return refuse(path, "\"${\" is not closed");
    std::string name(text.substr(0, close));
    text.remove_prefix(close + 1);
    if (name.starts_with('!')) {
      out += "${" + name.substr(1) + "}";
    } else if (auto parameter = names.parameters.find(name); parameter != names.parameters.end()) {
      out += plain_text(parameter->second);
    } else if (auto attribute = names.attributes.find(name); attribute != names.attributes.end()) {
      out += attribute->second;
    } else if (auto resource = names.resources.find(name); resource != names.resources.end()) {
      out += resource->second;
    } else {
      return refuse(path, "${" + name + "} names neither a parameter with a value nor a resource of this template");
    }
  }
}

Result<json::value> resolve(const json::value& value, const Names& names, const std::string& path) {
  if (const json::array* array = value.if_array()) {
    json::array out;
    for (size_t i = 0; i < array->size(); ++i) {
      MAYFLY_TRY(json::value item, resolve((*array)[i], names, fmt::format("{}[{}]", path, i)));
      out.push_back(std::move(item));
    }
    return json::value(std::move(out));
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return value;
  if (object->size() == 1) {
    std::string key(object->begin()->key());
    const json::value& argument = object->begin()->value();
    if (key == "Ref" && argument.is_string()) return ref(plain_text(argument), names, path);
    if (key == "Fn::GetAtt") return attribute(argument, names, path);
    if (key == "Fn::Sub") return sub(argument, names, path);
    if (key.starts_with("Fn::")) return refuse(path, key + " is not supported", "use Ref, Fn::GetAtt, Fn::Sub, or write the value out");
  }
  json::object out;
  for (const auto& member : *object) {
    MAYFLY_TRY(json::value inner, resolve(member.value(), names, path + "." + std::string(member.key())));
    out.emplace(member.key(), std::move(inner));
  }
  return json::value(std::move(out));
}

}  // namespace mayfly::cli
