// Layers (aliyun-fc.md sections 7.1 and 7.3). A version is named by an ARN, in these forms:
//   acs:fc:<region>:<account>:layers/<name>/versions/<n>   region and account may be anything: templates carry those of another cloud
//   <anything>#<name>#<n>                                  what `arn` was before `arnV2`
// Of a function's layers the vendor lets the first cover the later ones; functions::Function lists them the other way round.

#include <charconv>

#include "base/encoding.h"
#include "dialects/aliyun/fc_fields.h"
#include "dialects/aliyun/fc_operations.h"
#include "dialects/aliyun/fc_packages.h"

namespace mayfly::dialects::aliyun {
namespace {

using functions::LayerVersion;

struct LayerName {
  std::string name;
  int64_t version = 0;
};

int64_t number_of(std::string_view text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 ? number : 0;
}

// "<name><between><number>"; a version of 0 when it has no such form.
LayerName name_and_number(std::string_view text, std::string_view between) {
  size_t at = text.rfind(between);
  if (at == text.npos || at == 0) return {};
  return {std::string(text.substr(0, at)), number_of(text.substr(at + between.size()))};
}

FcExpected<LayerName> parse_layer_arn(std::string_view arn) {
  LayerName found;
  if (arn.starts_with("acs:fc:")) {
    constexpr std::string_view kNoun = ":layers/";
    if (size_t at = arn.find(kNoun); at != arn.npos) found = name_and_number(arn.substr(at + kNoun.size()), "/versions/");
  } else if (size_t hash = arn.find('#'); hash != arn.npos) {
    found = name_and_number(arn.substr(hash + 1), "#");
  }
  if (found.version == 0)
    return invalid_argument(fmt::format("'{}' names no version of a layer: it should be acs:fc:<region>:<account>:layers/<name>/versions/<number>", arn.substr(0, 300)));
  return found;
}

FcError layer_error(const FcCall& call, const Failure<functions::CatalogueError>& failure, const std::string& name) {
  if (failure.code == functions::CatalogueError::not_found)
    return {404, call.context.layers.exists(name) ? "LayerVersionNotFound" : "LayerNotFound", failure.message};
  return fc_error(call, failure, "Layer");
}

FcExpected<LayerVersion> find_layer(const FcCall& call, const LayerName& wanted) {
  auto found = call.context.layers.get(wanted.name, wanted.version);
  if (!found) return std::unexpected(layer_error(call, found.error(), wanted.name));
  return std::move(*found);
}

std::string arn_of(const FcCall& call, const LayerVersion& layer) { return call.arn(fmt::format("layers/{}/versions/{}", layer.name, layer.version)); }

json::object layer_json(const FcCall& call, const LayerVersion& layer) {
  json::array runtimes;
  for (const std::string& each : layer.runtimes) runtimes.emplace_back(each);
  std::string arn = arn_of(call, layer);
  return {{"layerName", layer.name}, {"version", layer.version}, {"description", layer.description},
          {"code", {{"repositoryType", "OSS"}, {"location", package_url(call, layer.code.digest)}}},
          {"codeSize", layer.code.size_bytes}, {"codeChecksum", layer.code.checksum}, {"compatibleRuntime", std::move(runtimes)},
          {"license", layer.license}, {"acl", layer.is_public ? 1 : 0}, {"arn", arn}, {"arnV2", arn}, {"layerVersionArn", arn},
          {"createTime", iso8601_s(layer.created_us)}};
}

// The version at the end of the path, still encoded there.
FcExpected<LayerName> layer_of_path(const FcCall& call) {
  LayerName wanted{call.item, number_of(percent_decode(std::string_view(call.rest).substr(1)))};
  if (wanted.version == 0) return invalid_argument(fmt::format("'{}' is no version of a layer: versions are numbers from 1", call.rest.substr(1, 100)));
  return wanted;
}

FcAnswer answer(const FcCall& call, FcExpected<LayerName> wanted) {
  if (!wanted) return std::unexpected(wanted.error());
  auto layer = find_layer(call, *wanted);
  if (!layer) return std::unexpected(layer.error());
  return json_response(layer_json(call, *layer), etag(*layer));
}

// An element of `layers`: the ARN, or an object that has it, as the later API answers.
FcExpected<std::string> arn_in(const json::value& element) {
  const json::value* text = element.is_object() ? find_ignore_case(element, "arn") : &element;
  if (!text || !text->is_string()) return invalid_argument("layers must be a list of ARNs");
  return std::string(view(text->get_string()));
}

}  // namespace

FcExpected<void> read_layers(const FcCall& call, functions::Function& function) {
  FcFields fields(call.body);
  const json::array* sent = fields.array("layers");
  if (auto good = fields.done(); !good) return good;
  if (!sent) return {};
  std::vector<functions::LayerRef> layers;
  json::array arns;
  for (const json::value& element : *sent) {
    auto arn = arn_in(element);
    if (!arn) return std::unexpected(arn.error());
    auto wanted = parse_layer_arn(*arn);
    if (!wanted) return std::unexpected(wanted.error());
    arns.emplace_back(*arn);
    // One that the function has keeps its content, also when its version was deleted since.
    auto present = std::find_if(function.layers.begin(), function.layers.end(),
                                [&](const functions::LayerRef& each) { return each.name == wanted->name && each.version == wanted->version; });
    if (present != function.layers.end()) {
      layers.push_back(*present);
      continue;
    }
    auto layer = find_layer(call, *wanted);
    if (!layer) return std::unexpected(layer.error());
    layers.push_back({layer->name, layer->version, layer->code.digest});
  }
  std::reverse(layers.begin(), layers.end());
  function.layers = std::move(layers);
  function.vendor["layers"] = std::move(arns);
  return {};
}

io::Task<FcAnswer> fc_publish_layer(FcCall& call) {
  LayerVersion draft{.name = call.item};
  FcFields fields(call.body);
  fields.text("description", draft.description);
  fields.text("license", draft.license);
  const json::array* runtimes = fields.array("compatibleRuntime");
  const json::value* code = fields.any("code");
  if (auto good = fields.done(); !good) co_return std::unexpected(good.error());
  if (!code) co_return invalid_argument("code must be sent");
  for (size_t i = 0; runtimes && i < runtimes->size(); ++i) {
    if (!(*runtimes)[i].is_string()) co_return invalid_argument("compatibleRuntime must be a list of strings");
    draft.runtimes.emplace_back(view((*runtimes)[i].get_string()));
  }
  auto package = co_await take_package(call, *code, functions::kLayerLimits);
  if (!package) co_return std::unexpected(package.error());
  draft.code = std::move(*package);
  FC_CO_TRY(const LayerVersion layer, call, "Layer", co_await call.context.layers.publish(call.loop, std::move(draft)));
  co_return json_response(layer_json(call, layer), etag(layer));
}

io::Task<FcAnswer> fc_get_layer(FcCall& call) { co_return answer(call, layer_of_path(call)); }

io::Task<FcAnswer> fc_get_layer_by_arn(FcCall& call) {
  co_return answer(call, parse_layer_arn(percent_decode(std::string_view(call.rest).substr(1))));
}

io::Task<FcAnswer> fc_delete_layer(FcCall& call) {
  auto wanted = layer_of_path(call);
  if (!wanted) co_return std::unexpected(wanted.error());
  auto layer = find_layer(call, *wanted);
  if (!layer) co_return std::unexpected(layer.error());
  if (!call.if_match().empty() && call.if_match() != etag(*layer))
    co_return refuse(412, "PreconditionFailed", fmt::format("layer '{}' was changed since it was read", wanted->name));
  auto gone = co_await call.context.layers.erase(call.loop, wanted->name, wanted->version);
  if (!gone) co_return std::unexpected(layer_error(call, gone.error(), wanted->name));
  co_return no_content();
}

io::Task<FcAnswer> fc_list_layers(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  json::array layers;
  if (call.parameter("official") == "true") co_return json_response({{"layers", layers}, {"nextToken", ""}});  // the vendor's own: none are here
  auto page = call.context.layers.list(*query);
  bool only_public = call.parameter("public") == "true";
  for (const LayerVersion& layer : page.items)
    if (!only_public || layer.is_public) layers.push_back(layer_json(call, layer));
  co_return json_response({{"layers", layers}, {"nextToken", page.next}});
}

io::Task<FcAnswer> fc_list_layer_versions(FcCall& call) {
  auto query = list_query(call);
  if (!query) co_return std::unexpected(query.error());
  std::string start = query->start.empty() ? call.parameter("startVersion") : query->start;
  if (!start.empty() && number_of(start) == 0) co_return invalid_argument(fmt::format("startVersion must be a number from 1, not '{}'", start.substr(0, 100)));
  auto page = call.context.layers.versions(call.item, number_of(start), query->limit);
  if (!page) co_return std::unexpected(layer_error(call, page.error(), call.item));
  json::array layers;
  for (const LayerVersion& layer : page->items) layers.push_back(layer_json(call, layer));
  json::object body{{"layers", std::move(layers)}, {"nextToken", page->next}};
  if (!page->next.empty()) body["nextVersion"] = number_of(page->next);
  co_return json_response(std::move(body));
}

// ?public=true or ?acl=1, and the other way round; clients also send them as the body.
io::Task<FcAnswer> fc_share_layer(FcCall& call) {
  std::string wanted = call.parameter("public").empty() ? call.parameter("acl") : call.parameter("public");
  for (const char* key : {"public", "acl"})
    if (const json::value* sent = find_ignore_case(call.body, key); sent && wanted.empty())
      wanted = sent->is_string() ? std::string(view(sent->get_string())) : to_text(*sent);
  if (wanted != "true" && wanted != "1" && wanted != "false" && wanted != "0") co_return invalid_argument("public must be true or false");
  auto shared = co_await call.context.layers.share(call.loop, call.item, wanted == "true" || wanted == "1");
  if (!shared) co_return std::unexpected(layer_error(call, shared.error(), call.item));
  co_return no_content();
}

}  // namespace mayfly::dialects::aliyun
