// The writing half of the catalogue: rules, rows, and the publication of the next Tables.

#include "functions/catalogue.h"

#include "base/encoding.h"
#include "base/hash.h"
#include "functions/store_catalogue.h"
#include "functions/validate.h"
#include "store/keys.h"

namespace mayfly::functions {
namespace {

std::string etag_of(const json::object& row) { return hex_encode(md5(to_text(row))); }

template <class T>
Result<void> check_match(const IfMatch& match, const T& current) {
  if (!match.empty() && match != etag(current))
    return fail(CatalogueError::precondition, fmt::format("'{}' was changed since it was read", current.name), "read it again and repeat the change");
  return {};
}

std::unexpected<Failure<CatalogueError>> exists(std::string_view noun, const std::string& name) {
  return fail(CatalogueError::already_exists, fmt::format("{} '{}' already exists", noun, name));
}

std::unexpected<Failure<CatalogueError>> conflict(std::string message, std::string hint = {}) {
  return fail(CatalogueError::conflict, std::move(message), std::move(hint));
}

std::vector<Function> values(const std::map<std::string, Function>& functions) {
  std::vector<Function> out;
  for (const auto& [name, function] : functions) out.push_back(function);
  return out;
}

std::string trigger_qualifier(const Trigger& trigger) { return trigger.qualifier.empty() ? std::string(kLatest) : trigger.qualifier; }

}  // namespace

std::string etag(const Service& service) { return etag_of(to_json(service)); }
std::string etag(const Function& function) { return etag_of(to_json(function)); }
std::string etag(const Trigger& trigger) { return etag_of(to_json(trigger)); }
std::string etag(const Alias& alias) { return etag_of(to_json(alias)); }

StoreCatalogue::StoreCatalogue(store::Store& store, CodeStore& code, const Clock& clock, Rng& rng)
    : store_(store), code_(code), clock_(clock), rng_(rng), tables_(std::make_shared<const Tables>()) {}

io::Task<void> StoreCatalogue::load(io::Loop& loop) {
  auto next = std::make_shared<Tables>();
  auto generation = co_await store_.get(loop, generation_key());
  if (generation) next->generation = store::read_ordered_int(*generation);
  std::map<std::string, std::shared_ptr<ServiceTable>> services;
  auto table = [&services](const std::string& name) -> ServiceTable& {
    auto& slot = services[name];
    if (!slot) slot = std::make_shared<ServiceTable>();
    return *slot;
  };
  for (const store::Entry& entry : co_await store::scan_all(store_, loop, rows_prefix(), store::after_prefix(rows_prefix()))) {
    auto key = store::split_key(entry.key);
    auto value = parse_json(entry.value);
    MAYFLY_CHECK(key && key->size() >= 3 && value);
    const std::string& kind = (*key)[1];
    ServiceTable& of = table((*key)[2]);
    if (kind == "service") of.row = service_row_from(*value);
    if (kind == "function") of.functions[(*key)[3]] = function_from(*value);
    if (kind == "trigger") of.triggers[(*key)[3]][(*key)[4]] = trigger_from(*value);
    if (kind == "version") of.versions[store::read_ordered_int((*key)[3])] = version_row_from(*value);
    if (kind == "alias") of.aliases[(*key)[3]] = alias_from(*value);
  }
  std::map<std::string, std::vector<LayerRef>> merged;
  for (auto& [name, each] : services) {
    for (const auto& [function, kept] : each->functions) merged[layers_name(kept.layers)] = kept.layers;
    for (const auto& [number, row] : each->versions)
      for (const Function& frozen : row.functions) merged[layers_name(frozen.layers)] = frozen.layers;
    refresh_runnables(*each, code_);
    next->services[name] = std::move(each);
  }
  tables_.store(std::move(next));
  // They are there already unless the data folder was copied without them; a function whose layers cannot be made says so when it starts.
  for (const auto& [name, layers] : merged) co_await code_.merge(loop, layers);
}

void StoreCatalogue::on_change(std::function<void()> listener) {
  std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

io::Task<Result<void>> StoreCatalogue::publish_change(io::Loop& loop, std::string service, std::shared_ptr<ServiceTable> changed, store::Batch batch) {
  auto current = tables();
  if (current->generation == 0) {
    batch.expect_absent(generation_key());
  } else {
    batch.expect_equals(generation_key(), store::ordered_int(current->generation));
  }
  batch.put(generation_key(), store::ordered_int(current->generation + 1));
  if (co_await store_.commit(loop, std::move(batch)) == store::Commit::refused)
    co_return conflict("the catalogue was changed by another process", "restart this one: a store has one server");
  auto next = std::make_shared<Tables>(*current);
  next->generation = current->generation + 1;
  if (changed) {
    refresh_runnables(*changed, code_);
    next->services[service] = std::move(changed);
  } else {
    next->services.erase(service);
  }
  tables_.store(std::move(next));
  std::vector<std::function<void()>> listeners;
  {
    std::lock_guard lock(listeners_mutex_);
    listeners = listeners_;
  }
  for (const auto& listener : listeners) listener();
  co_return Result<void>{};
}

io::Task<Result<Service>> StoreCatalogue::create_service(io::Loop& loop, Service service) {
  MAYFLY_CO_TRY_VOID(validate(service));
  auto turn = co_await turns_.take(loop);
  if (tables()->services.contains(service.name)) co_return exists("service", service.name);
  service.id = uuid(rng_);
  service.created_us = service.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>();
  table->row.service = service;
  store::Batch batch;
  batch.put(service_key(service.name), to_text(to_json(table->row)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, service.name, std::move(table), std::move(batch)));
  co_return service;
}

io::Task<Result<Service>> StoreCatalogue::update_service(io::Loop& loop, Service service, IfMatch match) {
  MAYFLY_CO_TRY_VOID(validate(service));
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service.name));
  MAYFLY_CO_TRY_VOID(check_match(match, current->row.service));
  service.id = current->row.service.id;
  service.created_us = current->row.service.created_us;
  service.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->row.service = service;
  store::Batch batch;
  batch.put(service_key(service.name), to_text(to_json(table->row)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, service.name, std::move(table), std::move(batch)));
  co_return service;
}

io::Task<Result<void>> StoreCatalogue::delete_service(io::Loop& loop, std::string service, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  MAYFLY_CO_TRY_VOID(check_match(match, current->row.service));
  if (!current->functions.empty())
    co_return conflict(fmt::format("service '{}' still holds {} functions", service, current->functions.size()), "delete its functions first");
  if (!current->aliases.empty()) co_return conflict(fmt::format("service '{}' still has aliases", service), "delete its aliases first");
  if (!current->versions.empty()) co_return conflict(fmt::format("service '{}' still has versions", service), "delete its versions first");
  store::Batch batch;
  batch.erase(service_key(service));
  co_return co_await publish_change(loop, service, nullptr, std::move(batch));
}

io::Task<Result<Function>> StoreCatalogue::create_function(io::Loop& loop, Function function) {
  MAYFLY_CO_TRY_VOID(validate(function));
  MAYFLY_CO_TRY_VOID(co_await code_.merge(loop, function.layers));
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), function.service));
  if (current->functions.contains(function.name)) co_return exists("function", function.name);
  if (current->functions.size() >= kMaxFunctionsPerService)
    co_return fail(CatalogueError::too_large, fmt::format("service '{}' holds {} functions already", function.service, kMaxFunctionsPerService));
  function.id = uuid(rng_);
  function.created_us = function.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->functions[function.name] = function;
  store::Batch batch;
  batch.put(function_key(function.service, function.name), to_text(to_json(function)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, function.service, std::move(table), std::move(batch)));
  co_return function;
}

io::Task<Result<Function>> StoreCatalogue::update_function(io::Loop& loop, Function function, IfMatch match) {
  MAYFLY_CO_TRY_VOID(validate(function));
  MAYFLY_CO_TRY_VOID(co_await code_.merge(loop, function.layers));
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), function.service));
  MAYFLY_CO_TRY(const Function* old, find_function(*current, "", function.name));
  MAYFLY_CO_TRY_VOID(check_match(match, *old));
  function.id = old->id;
  function.created_us = old->created_us;
  function.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->functions[function.name] = function;
  store::Batch batch;
  batch.put(function_key(function.service, function.name), to_text(to_json(function)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, function.service, std::move(table), std::move(batch)));
  co_return function;
}

io::Task<Result<void>> StoreCatalogue::delete_function(io::Loop& loop, std::string service, std::string function, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  MAYFLY_CO_TRY(const Function* old, find_function(*current, "", function));
  MAYFLY_CO_TRY_VOID(check_match(match, *old));
  if (current->triggers.contains(function)) co_return conflict(fmt::format("function '{}' still has triggers", function), "delete its triggers first");
  auto table = std::make_shared<ServiceTable>(*current);
  table->functions.erase(function);
  store::Batch batch;
  batch.erase(function_key(service, function));
  co_return co_await publish_change(loop, service, std::move(table), std::move(batch));
}

Result<void> StoreCatalogue::check_trigger(const ServiceTable& table, const Trigger& trigger, const Tables& all) const {
  if (!trigger.qualifier.empty()) {
    MAYFLY_TRY([[maybe_unused]] const Function* target, find_function(table, trigger.qualifier, trigger.function));
  }
  if (trigger.type == "http") {
    auto siblings = table.triggers.find(trigger.function);
    if (siblings != table.triggers.end())
      for (const auto& [name, other] : siblings->second)
        if (name != trigger.name && other.type == "http" && trigger_qualifier(other) == trigger_qualifier(trigger))
          return conflict(fmt::format("'{}' is already the HTTP trigger of {}", name, trigger_qualifier(trigger)), "a version or alias has one HTTP trigger");
  }
  if (trigger.type != "oss") return {};
  for (const auto& [service, other] : all.services)
    for (const auto& [function, triggers] : other->triggers)
      for (const auto& [name, each] : triggers) {
        bool same = service == trigger.service && function == trigger.function && name == trigger.name;
        if (!same && rules_overlap(each, trigger))
          return fail(CatalogueError::invalid, fmt::format("the rule overlaps with that of trigger '{}' of {}/{}", name, service, function),
                      "two rules of a bucket may share an event only if their prefixes or their suffixes differ");
      }
  return {};
}

io::Task<Result<Trigger>> StoreCatalogue::create_trigger(io::Loop& loop, Trigger trigger) {
  MAYFLY_CO_TRY_VOID(validate(trigger));
  auto turn = co_await turns_.take(loop);
  auto all = tables();
  MAYFLY_CO_TRY(auto current, find_service(*all, trigger.service));
  MAYFLY_CO_TRY([[maybe_unused]] const Function* owner, find_function(*current, "", trigger.function));
  auto table = std::make_shared<ServiceTable>(*current);
  auto& triggers = table->triggers[trigger.function];
  if (triggers.contains(trigger.name)) co_return exists("trigger", trigger.name);
  if (triggers.size() >= kMaxTriggersPerFunction)
    co_return fail(CatalogueError::too_large, fmt::format("function '{}' has {} triggers already", trigger.function, kMaxTriggersPerFunction));
  MAYFLY_CO_TRY_VOID(check_trigger(*current, trigger, *all));
  trigger.id = uuid(rng_);
  trigger.created_us = trigger.modified_us = clock_.wall_us();
  triggers[trigger.name] = trigger;
  store::Batch batch;
  batch.put(trigger_key(trigger.service, trigger.function, trigger.name), to_text(to_json(trigger)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, trigger.service, std::move(table), std::move(batch)));
  co_return trigger;
}

io::Task<Result<Trigger>> StoreCatalogue::update_trigger(io::Loop& loop, Trigger trigger, IfMatch match) {
  MAYFLY_CO_TRY_VOID(validate(trigger));
  auto turn = co_await turns_.take(loop);
  auto all = tables();
  MAYFLY_CO_TRY(const Trigger old, this->trigger(trigger.service, trigger.function, trigger.name));
  MAYFLY_CO_TRY_VOID(check_match(match, old));
  MAYFLY_CO_TRY(auto current, find_service(*all, trigger.service));
  MAYFLY_CO_TRY_VOID(check_trigger(*current, trigger, *all));
  trigger.id = old.id;
  trigger.created_us = old.created_us;
  trigger.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->triggers[trigger.function][trigger.name] = trigger;
  store::Batch batch;
  batch.put(trigger_key(trigger.service, trigger.function, trigger.name), to_text(to_json(trigger)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, trigger.service, std::move(table), std::move(batch)));
  co_return trigger;
}

io::Task<Result<void>> StoreCatalogue::delete_trigger(io::Loop& loop, std::string service, std::string function, std::string trigger, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(const Trigger old, this->trigger(service, function, trigger));
  MAYFLY_CO_TRY_VOID(check_match(match, old));
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  auto table = std::make_shared<ServiceTable>(*current);
  auto& triggers = table->triggers[function];
  triggers.erase(trigger);
  if (triggers.empty()) table->triggers.erase(function);
  store::Batch batch;
  batch.erase(trigger_key(service, function, trigger));
  co_return co_await publish_change(loop, service, std::move(table), std::move(batch));
}

io::Task<Result<Version>> StoreCatalogue::publish(io::Loop& loop, std::string service, std::string description) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  auto table = std::make_shared<ServiceTable>(*current);
  VersionRow row{.version = {}, .service = current->row.service, .functions = values(current->functions), .content = {}};
  row.content = content_digest(row.service, row.functions);
  if (!current->versions.empty() && current->versions.rbegin()->second.content == row.content)
    co_return conflict(fmt::format("nothing changed in service '{}' since version {}", service, current->versions.rbegin()->second.version.id));
  int64_t number = ++table->row.last_version;
  int64_t now = clock_.wall_us();
  row.version = {std::to_string(number), description, now, now};
  row.service.description = std::move(description);
  MAYFLY_CO_TRY_VOID(validate(row.service));
  Version version = row.version;
  store::Batch batch;
  batch.put(service_key(service), to_text(to_json(table->row)));
  batch.put(version_key(service, number), to_text(to_json(row)));
  table->versions[number] = std::move(row);
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, service, std::move(table), std::move(batch)));
  co_return version;
}

io::Task<Result<void>> StoreCatalogue::delete_version(io::Loop& loop, std::string service, std::string version) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  int64_t number = version_number(version);
  if (!current->versions.contains(number)) co_return not_found("version", version);
  for (const auto& [name, alias] : current->aliases)
    if (alias.version == version || alias.additional_weights.contains(version))
      co_return conflict(fmt::format("alias '{}' points at version {}", name, version), "point the alias elsewhere first");
  auto table = std::make_shared<ServiceTable>(*current);
  table->versions.erase(number);
  store::Batch batch;
  batch.erase(version_key(service, number));
  co_return co_await publish_change(loop, service, std::move(table), std::move(batch));
}

Result<void> StoreCatalogue::check_alias(const ServiceTable& table, const Alias& alias) {
  if (!table.versions.contains(version_number(alias.version))) return not_found("version", alias.version);
  for (const auto& [version, weight] : alias.additional_weights)
    if (!table.versions.contains(version_number(version))) return not_found("version", version);
  return {};
}

io::Task<Result<Alias>> StoreCatalogue::create_alias(io::Loop& loop, std::string service, Alias alias) {
  MAYFLY_CO_TRY_VOID(validate(alias));
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  if (current->aliases.contains(alias.name)) co_return exists("alias", alias.name);
  MAYFLY_CO_TRY_VOID(check_alias(*current, alias));
  alias.created_us = alias.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->aliases[alias.name] = alias;
  store::Batch batch;
  batch.put(alias_key(service, alias.name), to_text(to_json(alias)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, service, std::move(table), std::move(batch)));
  co_return alias;
}

io::Task<Result<Alias>> StoreCatalogue::update_alias(io::Loop& loop, std::string service, Alias alias, IfMatch match) {
  MAYFLY_CO_TRY_VOID(validate(alias));
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(const Alias old, this->alias(service, alias.name));
  MAYFLY_CO_TRY_VOID(check_match(match, old));
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  MAYFLY_CO_TRY_VOID(check_alias(*current, alias));
  alias.created_us = old.created_us;
  alias.modified_us = clock_.wall_us();
  auto table = std::make_shared<ServiceTable>(*current);
  table->aliases[alias.name] = alias;
  store::Batch batch;
  batch.put(alias_key(service, alias.name), to_text(to_json(alias)));
  MAYFLY_CO_TRY_VOID(co_await publish_change(loop, service, std::move(table), std::move(batch)));
  co_return alias;
}

io::Task<Result<void>> StoreCatalogue::delete_alias(io::Loop& loop, std::string service, std::string alias, IfMatch match) {
  auto turn = co_await turns_.take(loop);
  MAYFLY_CO_TRY(const Alias old, this->alias(service, alias));
  MAYFLY_CO_TRY_VOID(check_match(match, old));
  MAYFLY_CO_TRY(auto current, find_service(*tables(), service));
  auto table = std::make_shared<ServiceTable>(*current);
  table->aliases.erase(alias);
  store::Batch batch;
  batch.erase(alias_key(service, alias));
  co_return co_await publish_change(loop, service, std::move(table), std::move(batch));
}

std::unique_ptr<Catalogue> make_catalogue(store::Store& store, CodeStore& code, const Clock& clock, Rng& rng) {
  return std::make_unique<StoreCatalogue>(store, code, clock, rng);
}

}  // namespace mayfly::functions
