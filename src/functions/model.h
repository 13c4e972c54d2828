#pragma once
// The catalogue's nouns (DESIGN 1): services hold functions; publishing freezes a service and its functions as a numbered version;
// an alias points at a version, or at two with weights. Field names and defaults follow aliyun-fc.md section 7.3. What a vendor's API
// stores but the core does not act on (log, VPC, NAS, tracing configuration) is kept as the JSON it came as, in `vendor`.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace mayfly::functions {

enum class CatalogueError { invalid, not_found, already_exists, conflict, precondition, too_large };
template <class T>
using Result = Expected<T, CatalogueError>;

struct Service {
  std::string name;  // [A-Za-z_][A-Za-z0-9_-]{0,127}
  std::string id;
  std::string description;
  std::string role;      // ARN "acs:ram::<account>:role/<name>", or empty
  json::object vendor;   // logConfig, vpcConfig, nasConfig, tracingConfig, internetAccess
  int64_t created_us = 0, modified_us = 0;
};

// Where a function's code stands on this machine. Code is content-addressed: one folder per distinct package.
struct Code {
  std::string digest;     // SHA-256 of the package, hex; empty for a container function
  std::string checksum;   // CRC-64/XZ of the package as a decimal string (the dialect's codeChecksum)
  uint64_t size_bytes = 0;
};

// A version of a layer as a function names it. The digest is frozen with the function: what it runs with does not change, nor go away,
// when the layer's version is deleted.
struct LayerRef {
  std::string name;
  int64_t version = 0;
  std::string digest;  // of the content, as Code::digest
  bool operator==(const LayerRef&) const = default;
};

struct Function {
  std::string service, name, id, description;
  std::string runtime;      // "python3", "python3.9", "python3.10", "python3.12", "custom", ...
  std::string handler;      // "index.handler"
  std::string initializer;  // empty: none
  int64_t timeout_s = 3;
  int64_t initialization_timeout_s = 3;
  int64_t memory_mb = 128;
  int64_t instance_concurrency = 1;
  std::map<std::string, std::string> environment;
  Code code;
  std::vector<LayerRef> layers;  // in the order they are laid into /opt: a later one covers an earlier one
  std::vector<std::string> egress;  // granted destinations, "host:port" (egress.h)
  json::object vendor;  // instanceType, caPort, layers, lifecycle and container configuration, as sent
  int64_t created_us = 0, modified_us = 0;
};

struct Version {
  std::string id;  // decimal, from 1, never reused
  std::string description;
  int64_t created_us = 0, modified_us = 0;
};

struct Alias {
  std::string name, version, description;
  std::map<std::string, double> additional_weights;  // version -> 0..1
  int64_t created_us = 0, modified_us = 0;
};

struct Trigger {
  std::string service, function, name, id, description;
  std::string type;  // "timer" | "oss" | "http" | ... (aliyun-fc.md section 1.6)
  std::string source_arn, invocation_role, qualifier;
  json::object config;  // as sent, keys in the dialect's spelling
  int64_t created_us = 0, modified_us = 0;
};

constexpr std::string_view kLatest = "LATEST";  // the qualifier of what is being edited

// Everything needed to run one function as of one version: immutable, shared by the instances that run it.
struct Runnable {
  Service service;
  Function function;
  std::string qualifier;   // as asked for: LATEST, a version or an alias
  std::string version;     // empty for LATEST
  std::string code_path;   // folder with the unpacked code; empty if none
  std::string layers_path; // folder that is /opt inside: the function's layers merged in order; empty if none
  uint64_t revision = 0;   // changes whenever anything above changes: instances of an older one drain
  std::string key() const { return service.name + "/" + function.name + "@" + (version.empty() ? std::string(kLatest) : version); }
};

}  // namespace mayfly::functions
