// The synchronous half of the catalogue: reads of the published Tables, on any shard.

#include <algorithm>

#include "functions/store_catalogue.h"

namespace mayfly::functions {
namespace {

// A page of the values of `map`, whose keys are names.
template <class T, class Value, class Pick>
Page<T> page_of(const std::map<std::string, Value>& map, const ListQuery& query, Pick pick) {
  Page<T> page;
  for (auto at = map.lower_bound(std::max(query.start, query.prefix)); at != map.end() && at->first.starts_with(query.prefix); ++at) {
    if (page.items.size() == query.limit) {
      page.next = at->first;
      break;
    }
    page.items.push_back(pick(at->second));
  }
  return page;
}

}  // namespace

std::set<std::string> StoreCatalogue::package_names() const {
  std::set<std::string> names;
  auto add = [&names](const Function& function) {
    names.insert(function.code.digest);
    names.insert(layers_name(function.layers));
    for (const LayerRef& layer : function.layers) names.insert(layer.digest);
  };
  for (const auto& [service, table] : tables()->services) {
    for (const auto& [name, function] : table->functions) add(function);
    for (const auto& [number, row] : table->versions)
      for (const Function& frozen : row.functions) add(frozen);
  }
  names.erase("");
  return names;
}

Result<Service> StoreCatalogue::service(const std::string& service, const std::string& qualifier) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY(const VersionRow* version, find_version(*table, qualifier));
  return version ? version->service : table->row.service;
}

Result<Function> StoreCatalogue::function(const std::string& service, const std::string& qualifier, const std::string& function) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY(const Function* found, find_function(*table, qualifier, function));
  return *found;
}

Result<Trigger> StoreCatalogue::trigger(const std::string& service, const std::string& function, const std::string& trigger) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY([[maybe_unused]] const Function* owner, find_function(*table, "", function));
  auto triggers = table->triggers.find(function);
  if (triggers == table->triggers.end()) return not_found("trigger", trigger);
  auto found = triggers->second.find(trigger);
  if (found == triggers->second.end()) return not_found("trigger", trigger);
  return found->second;
}

Result<Alias> StoreCatalogue::alias(const std::string& service, const std::string& alias) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  auto found = table->aliases.find(alias);
  if (found == table->aliases.end()) return not_found("alias", alias);
  return found->second;
}

Page<Service> StoreCatalogue::services(const ListQuery& query) const {
  auto all = tables();
  return page_of<Service>(all->services, query, [](const auto& table) { return table->row.service; });
}

Result<Page<Function>> StoreCatalogue::functions(const std::string& service, const std::string& qualifier, const ListQuery& query) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY(const VersionRow* version, find_version(*table, qualifier));
  if (!version) return page_of<Function>(table->functions, query, [](const Function& function) { return function; });
  std::map<std::string, const Function*> frozen;
  for (const Function& function : version->functions) frozen.emplace(function.name, &function);
  return page_of<Function>(frozen, query, [](const Function* function) { return *function; });
}

Result<Page<Trigger>> StoreCatalogue::triggers(const std::string& service, const std::string& function, const ListQuery& query) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY([[maybe_unused]] const Function* owner, find_function(*table, "", function));
  auto triggers = table->triggers.find(function);
  if (triggers == table->triggers.end()) return Page<Trigger>{};
  return page_of<Trigger>(triggers->second, query, [](const Trigger& trigger) { return trigger; });
}

Result<std::shared_ptr<const Trigger>> StoreCatalogue::trigger_for(const std::string& service, const std::string& function, std::string_view type,
                                                                   std::string_view qualifier) const {
  auto or_latest = [](std::string_view name) { return name.empty() ? kLatest : name; };
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  MAYFLY_TRY([[maybe_unused]] const Function* owner, find_function(*table, "", function));
  auto triggers = table->triggers.find(function);
  if (triggers == table->triggers.end()) return nullptr;
  for (const auto& [name, trigger] : triggers->second)
    if (trigger.type == type && or_latest(trigger.qualifier) == or_latest(qualifier)) return std::shared_ptr<const Trigger>(table, &trigger);
  return nullptr;
}

Result<Page<Version>> StoreCatalogue::versions(const std::string& service, const ListQuery& query, Order order) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  std::vector<int64_t> numbers;
  for (const auto& [number, row] : table->versions) numbers.push_back(number);
  if (order == Order::newest_first) std::reverse(numbers.begin(), numbers.end());
  int64_t start = version_number(query.start);
  Page<Version> page;
  for (int64_t number : numbers) {
    if (start != 0 && (order == Order::newest_first ? number > start : number < start)) continue;
    const Version& version = table->versions.at(number).version;
    if (!version.id.starts_with(query.prefix)) continue;
    if (page.items.size() == query.limit) {
      page.next = version.id;
      break;
    }
    page.items.push_back(version);
  }
  return page;
}

Result<Page<Alias>> StoreCatalogue::aliases(const std::string& service, const ListQuery& query) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  return page_of<Alias>(table->aliases, query, [](const Alias& alias) { return alias; });
}

std::vector<Trigger> StoreCatalogue::all_triggers(const std::string& type) const {
  auto all = tables();
  std::vector<Trigger> out;
  for (const auto& [service, table] : all->services)
    for (const auto& [function, triggers] : table->triggers)
      for (const auto& [name, trigger] : triggers)
        if (trigger.type == type) out.push_back(trigger);
  return out;
}

Result<std::shared_ptr<const Runnable>> StoreCatalogue::resolve(const std::string& service, const std::string& qualifier, const std::string& function,
                                                                double dice) const {
  MAYFLY_TRY(auto table, find_service(*tables(), service));
  return find_runnable(*table, qualifier, function, dice);
}

std::shared_ptr<const Runnable> StoreCatalogue::current(const Runnable& runnable) const {
  auto table = find_service(*tables(), runnable.service.name);
  if (!table) return nullptr;
  auto found = (*table)->runnables.find(runnable_name(runnable.qualifier, runnable.version, runnable.function.name));
  return found == (*table)->runnables.end() ? nullptr : found->second;
}

}  // namespace mayfly::functions
