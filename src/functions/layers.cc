#include "functions/layers.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "functions/validate.h"
#include "store/keys.h"

namespace mayfly::functions {
namespace {

constexpr std::string_view kRoom = "layers";

std::string head_key(const std::string& name) { return store::make_key({kRoom, "layer", name}); }
std::string version_row_key(const std::string& name, int64_t version) { return store::make_key({kRoom, "version", name, store::ordered_int(version)}); }

json::object row_of(const LayerVersion& layer) {
  json::array runtimes;
  for (const std::string& each : layer.runtimes) runtimes.emplace_back(each);
  return {{"name", layer.name}, {"version", layer.version}, {"description", layer.description}, {"license", layer.license}, {"runtimes", runtimes},
          {"code", json::object{{"digest", layer.code.digest}, {"checksum", layer.code.checksum}, {"size_bytes", layer.code.size_bytes}}},
          {"created_us", layer.created_us}};
}

LayerVersion from_row(const json::value& row) {
  LayerVersion layer{.name = string_or(row, "name"), .version = int_or(row, "version"), .description = string_or(row, "description"),
                     .license = string_or(row, "license"), .runtimes = {}, .code = {}, .created_us = int_or(row, "created_us")};
  if (const json::value* runtimes = find(row, "runtimes"); runtimes && runtimes->is_array())
    for (const auto& each : runtimes->get_array())
      if (each.is_string()) layer.runtimes.emplace_back(view(each.get_string()));
  if (const json::value* code = find(row, "code"))
    layer.code = {string_or(*code, "digest"), string_or(*code, "checksum"), static_cast<uint64_t>(int_or(*code, "size_bytes"))};
  return layer;
}

std::string head_text(int64_t last_version, bool is_public) { return to_text(json::object{{"last_version", last_version}, {"public", is_public}}); }

std::unexpected<Failure<CatalogueError>> no_layer(const std::string& name) {
  return fail(CatalogueError::not_found, fmt::format("layer '{}' does not exist", name));
}
std::unexpected<Failure<CatalogueError>> no_version(const std::string& name, int64_t version) {
  return fail(CatalogueError::not_found, fmt::format("version {} of layer '{}' does not exist", version, name));
}

Result<void> validate_draft(const LayerVersion& draft) {
  MAYFLY_TRY_VOID(validate_name("layer", draft.name));
  auto invalid = [](std::string message) { return fail(CatalogueError::invalid, std::move(message)); };
  if (draft.description.size() > kMaxDescriptionBytes) return invalid(fmt::format("the description is longer than {} bytes", kMaxDescriptionBytes));
  if (draft.license.size() > kMaxLicenseBytes) return invalid(fmt::format("the license is longer than {} bytes", kMaxLicenseBytes));
  if (draft.runtimes.size() > kMaxLayerRuntimes) return invalid(fmt::format("a layer names at most {} runtimes, not {}", kMaxLayerRuntimes, draft.runtimes.size()));
  for (const std::string& each : draft.runtimes)
    if (each.empty() || each.size() > kMaxLicenseBytes) return invalid(fmt::format("'{}' is no name of a runtime", each.substr(0, kMaxLicenseBytes)));
  if (draft.code.digest.empty()) return invalid("a layer needs content");
  return {};
}

}  // namespace

std::string etag(const LayerVersion& layer) {
  json::object row = row_of(layer);
  row["public"] = layer.is_public;
  return hex_encode(md5(to_text(row)));
}

Layers::Layers(store::Store& store, const Clock& clock) : store_(store), clock_(clock), table_(std::make_shared<const Table>()) {}

io::Task<void> Layers::load(io::Loop& loop) {
  auto next = std::make_shared<Table>();
  std::string prefix = store::make_key({kRoom});
  for (const store::Entry& entry : co_await store::scan_all(store_, loop, prefix, store::after_prefix(prefix))) {
    auto key = store::split_key(entry.key);
    auto row = parse_json(entry.value);
    MAYFLY_CHECK(key && key->size() >= 3 && row);
    Layer& layer = (*next)[(*key)[2]];
    if ((*key)[1] == "version") {
      LayerVersion version = from_row(*row);
      layer.versions[version.version] = std::move(version);
    } else {
      layer.head = entry.value;
      layer.last_version = int_or(*row, "last_version");
      layer.is_public = bool_or(*row, "public");
    }
  }
  for (auto& [name, layer] : *next)
    for (auto& [number, version] : layer.versions) version.is_public = layer.is_public;
  table_.store(std::move(next));
}

// Writes the layer's head with the batch, which fences out another process on the same store, and publishes the changed layer.
io::Task<Result<void>> Layers::commit(io::Loop& loop, std::string name, Layer changed, store::Batch batch) {
  std::string key = head_key(name);
  if (changed.head.empty()) {
    batch.expect_absent(key);
  } else {
    batch.expect_equals(key, changed.head);
  }
  changed.head = head_text(changed.last_version, changed.is_public);
  batch.put(key, changed.head);
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused)
    co_return fail(CatalogueError::conflict, fmt::format("layer '{}' was changed by another process", name), "restart this one: a store has one server");
  for (auto& [number, version] : changed.versions) version.is_public = changed.is_public;
  auto next = std::make_shared<Table>(*table_.load());
  (*next)[name] = std::move(changed);
  table_.store(std::move(next));
  co_return Result<void>{};
}

io::Task<Result<LayerVersion>> Layers::publish(io::Loop& loop, LayerVersion draft) {
  MAYFLY_CO_TRY_VOID(validate_draft(draft));
  auto turn = co_await turns_.take(loop);
  auto table = table_.load();
  size_t count = 0;
  for (const auto& [name, layer] : *table) count += layer.versions.size();
  if (count >= kMaxLayerVersions)
    co_return fail(CatalogueError::too_large, fmt::format("there are {} versions of layers already", kMaxLayerVersions), "delete some that no function needs");
  auto found = table->find(draft.name);
  Layer layer = found == table->end() ? Layer{} : found->second;
  draft.version = ++layer.last_version;
  draft.created_us = clock_.wall_us();
  draft.is_public = layer.is_public;
  layer.versions[draft.version] = draft;
  store::Batch batch;
  batch.put(version_row_key(draft.name, draft.version), to_text(row_of(draft)));
  MAYFLY_CO_TRY_VOID(co_await commit(loop, draft.name, std::move(layer), std::move(batch)));
  co_return draft;
}

io::Task<Result<void>> Layers::erase(io::Loop& loop, std::string name, int64_t version) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY([[maybe_unused]] const LayerVersion present, get(name, version));
  Layer layer = table_.load()->at(name);
  layer.versions.erase(version);
  store::Batch batch;
  batch.erase(version_row_key(name, version));
  co_return co_await commit(loop, name, std::move(layer), std::move(batch));
}

io::Task<Result<void>> Layers::share(io::Loop& loop, std::string name, bool is_public) {
  auto turn = co_await turns_.take(loop);
  if (!exists(name)) co_return no_layer(name);
  Layer layer = table_.load()->at(name);
  layer.is_public = is_public;
  co_return co_await commit(loop, name, std::move(layer), store::Batch());
}

bool Layers::exists(const std::string& name) const {
  auto table = table_.load();
  auto found = table->find(name);
  return found != table->end() && !found->second.versions.empty();
}

Result<LayerVersion> Layers::get(const std::string& name, int64_t version) const {
  auto table = table_.load();
  auto layer = table->find(name);
  if (layer == table->end() || layer->second.versions.empty()) return no_layer(name);
  auto found = layer->second.versions.find(version);
  if (found == layer->second.versions.end()) return no_version(name, version);
  return found->second;
}

Page<LayerVersion> Layers::list(const ListQuery& query) const {
  auto table = table_.load();
  Page<LayerVersion> page;
  for (auto at = table->lower_bound(std::max(query.start, query.prefix)); at != table->end() && at->first.starts_with(query.prefix); ++at) {
    if (at->second.versions.empty()) continue;
    if (page.items.size() == query.limit) {
      page.next = at->first;
      break;
    }
    page.items.push_back(at->second.versions.rbegin()->second);
  }
  return page;
}

Result<Page<LayerVersion>> Layers::versions(const std::string& name, int64_t start, size_t limit) const {
  auto table = table_.load();
  auto layer = table->find(name);
  if (layer == table->end() || layer->second.versions.empty()) return no_layer(name);
  const auto& versions = layer->second.versions;
  Page<LayerVersion> page;
  for (auto at = start > 0 ? versions.upper_bound(start) : versions.end(); at != versions.begin();) {
    --at;
    if (page.items.size() == limit) {
      page.next = std::to_string(at->first);
      break;
    }
    page.items.push_back(at->second);
  }
  return page;
}

std::set<std::string> Layers::package_names() const {
  std::set<std::string> names;
  auto table = table_.load();
  for (const auto& [name, layer] : *table)
    for (const auto& [number, version] : layer.versions) names.insert(version.code.digest);
  return names;
}

Layers::Totals Layers::totals() const {
  Totals totals;
  std::map<std::string, uint64_t> packages;
  auto table = table_.load();
  for (const auto& [name, layer] : *table)
    for (const auto& [number, version] : layer.versions) {
      ++totals.versions;
      packages[version.code.digest] = version.code.size_bytes;
    }
  for (const auto& [digest, bytes] : packages) totals.bytes += bytes;
  return totals;
}

}  // namespace mayfly::functions
