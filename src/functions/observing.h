#pragma once
// Where a service says that the logs and traces of its functions go. Mayfly keeps logs itself and sends nothing to either; functions find
// the words in their context and in headers, and their own code may act on them. Read from Service::vendor, which holds what was sent.

#include <string>

#include "functions/model.h"

namespace mayfly::functions {

struct LogTarget {
  std::string project, store;
};
LogTarget log_target(const Service& service);

// Of the service's Jaeger; empty when tracing is off.
std::string tracing_endpoint(const Service& service);

}  // namespace mayfly::functions
