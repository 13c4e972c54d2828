#include "functions/tables.h"

#include <charconv>
#include <cstring>

#include "base/hash.h"

namespace mayfly::functions {
namespace {

// Equal content gives an equal revision, also after a restart: instances survive what does not concern them.
uint64_t revision_of(const Runnable& runnable) {
  std::string digest = sha256(to_text(to_json(runnable.service)) + to_text(to_json(runnable.function)) + runnable.qualifier + "\n" + runnable.version);
  uint64_t revision = 0;
  std::memcpy(&revision, digest.data(), sizeof revision);
  return revision;
}

void add_runnable(ServiceTable& table, const CodeStore& code, const Service& service, const Function& function, const std::string& qualifier,
                  const std::string& version) {
  auto made = std::make_shared<Runnable>(
      Runnable{.service = service, .function = function, .qualifier = qualifier, .version = version, .code_path = code.path(function.code),
               .layers_path = code.layers_path(function.layers)});
  made->revision = revision_of(*made);
  table.runnables[runnable_name(qualifier, version, function.name)] = std::move(made);
}

}  // namespace

std::string runnable_name(const std::string& qualifier, const std::string& version, const std::string& function) {
  return qualifier + "\n" + version + "\n" + function;
}

void refresh_runnables(ServiceTable& table, const CodeStore& code) {
  table.runnables.clear();
  for (const auto& [name, function] : table.functions) add_runnable(table, code, table.row.service, function, std::string(kLatest), "");
  for (const auto& [number, row] : table.versions)
    for (const Function& function : row.functions) {
      add_runnable(table, code, row.service, function, row.version.id, row.version.id);
      for (const auto& [name, alias] : table.aliases)
        if (alias.version == row.version.id || alias.additional_weights.contains(row.version.id))
          add_runnable(table, code, row.service, function, name, row.version.id);
    }
}

std::unexpected<Failure<CatalogueError>> not_found(std::string_view noun, const std::string& name) {
  return fail(CatalogueError::not_found, fmt::format("{} '{}' does not exist", noun, name));
}

Result<std::shared_ptr<const ServiceTable>> find_service(const Tables& tables, const std::string& service) {
  auto found = tables.services.find(service);
  if (found == tables.services.end()) return not_found("service", service);
  return found->second;
}

int64_t version_number(const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && number > 0 && std::to_string(number) == text ? number : 0;
}

Result<const VersionRow*> find_version(const ServiceTable& table, const std::string& qualifier, double dice) {
  if (qualifier.empty() || qualifier == kLatest) return nullptr;
  std::string version = qualifier;
  if (version_number(qualifier) == 0) {
    auto alias = table.aliases.find(qualifier);
    if (alias == table.aliases.end()) return not_found("version or alias", qualifier);
    version = alias->second.version;
    for (const auto& [other, weight] : alias->second.additional_weights) {
      if (dice < weight) {
        version = other;
        break;
      }
      dice -= weight;
    }
  }
  auto found = table.versions.find(version_number(version));
  if (found == table.versions.end()) return not_found("version", version);
  return &found->second;
}

Result<const Function*> find_function(const ServiceTable& table, const std::string& qualifier, const std::string& function) {
  MAYFLY_TRY(const VersionRow* version, find_version(table, qualifier));
  if (!version) {
    auto found = table.functions.find(function);
    if (found == table.functions.end()) return not_found("function", function);
    return &found->second;
  }
  for (const Function& each : version->functions)
    if (each.name == function) return &each;
  return not_found("function", function);
}

Result<std::shared_ptr<const Runnable>> find_runnable(const ServiceTable& table, const std::string& qualifier, const std::string& function, double dice) {
  MAYFLY_TRY(const VersionRow* version, find_version(table, qualifier, dice));
  auto found = table.runnables.find(runnable_name(version ? qualifier : std::string(kLatest), version ? version->version.id : "", function));
  if (found == table.runnables.end()) return not_found("function", function);
  return found->second;
}

}  // namespace mayfly::functions
