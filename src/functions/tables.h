#pragma once
// Tables: the whole catalogue as one immutable value. A mutation copies the map of services (pointers) and the one service it changes,
// so readers on other shards keep what they hold. Lookups by name or qualifier live here; rules live in catalogue.cc.

#include <map>
#include <memory>
#include <string>

#include "functions/catalogue.h"
#include "functions/rows.h"

namespace mayfly::functions {

struct ServiceTable {
  ServiceRow row;
  std::map<std::string, Function> functions;
  std::map<std::string, std::map<std::string, Trigger>> triggers;  // by function, then name; no empty inner maps
  std::map<int64_t, VersionRow> versions;
  std::map<std::string, Alias> aliases;
  // By runnable_name(); made by refresh_runnables() after every change.
  std::map<std::string, std::shared_ptr<const Runnable>> runnables;
};

struct Tables {
  std::map<std::string, std::shared_ptr<const ServiceTable>> services;
  int64_t generation = 0;  // counts committed mutations
};

std::string runnable_name(const std::string& qualifier, const std::string& version, const std::string& function);

// Rebuilds what can run in `table`: every function as LATEST, in every version, and under every alias for each version it names.
void refresh_runnables(ServiceTable& table, const CodeStore& code);

std::unexpected<Failure<CatalogueError>> not_found(std::string_view noun, const std::string& name);

Result<std::shared_ptr<const ServiceTable>> find_service(const Tables& tables, const std::string& service);
// The version a qualifier stands for: nullptr for LATEST, else the frozen row. `dice` picks among an alias's weights.
Result<const VersionRow*> find_version(const ServiceTable& table, const std::string& qualifier, double dice = 1.0);
Result<const Function*> find_function(const ServiceTable& table, const std::string& qualifier, const std::string& function);
Result<std::shared_ptr<const Runnable>> find_runnable(const ServiceTable& table, const std::string& qualifier, const std::string& function, double dice);

// A version id as a number: 0 if `text` is none.
int64_t version_number(const std::string& text);

}  // namespace mayfly::functions
