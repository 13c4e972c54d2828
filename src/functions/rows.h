#pragma once
// The catalogue's rows: where each noun stands in the store (keys.h tuples below "functions") and its JSON. A version's row holds the
// whole frozen service with its functions, so publishing is one write and what was published cannot change afterwards.
// Readers accept rows of older releases: an absent member has its default.

#include <string>
#include <vector>

#include "functions/model.h"

namespace mayfly::functions {

// A service with what publishing needs to remember about it.
struct ServiceRow {
  Service service;
  int64_t last_version = 0;  // the last id given out: ids are never reused
};

struct VersionRow {
  Version version;
  Service service;                  // its description is the version's
  std::vector<Function> functions;  // in byte order of their names
  std::string content;              // content_digest() of what was published
};

std::string generation_key();
std::string rows_prefix();
std::string service_key(const std::string& service);
std::string function_key(const std::string& service, const std::string& function);
std::string trigger_key(const std::string& service, const std::string& function, const std::string& trigger);
std::string version_key(const std::string& service, int64_t version);
std::string alias_key(const std::string& service, const std::string& alias);

json::object to_json(const ServiceRow& row);
json::object to_json(const Service& service);
json::object to_json(const Function& function);
json::object to_json(const Trigger& trigger);
json::object to_json(const Version& version);
json::object to_json(const VersionRow& row);
json::object to_json(const Alias& alias);

ServiceRow service_row_from(const json::value& value);
Service service_from(const json::value& value);
Function function_from(const json::value& value);
Trigger trigger_from(const json::value& value);
VersionRow version_row_from(const json::value& value);
Alias alias_from(const json::value& value);

// Equal for two states of a service that would publish the same version; times do not count.
std::string content_digest(const Service& service, const std::vector<Function>& functions);

}  // namespace mayfly::functions
