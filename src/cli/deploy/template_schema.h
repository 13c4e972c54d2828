#pragma once
// The closed schemas of funcraft templates (aliyun-fc.md sections 1.2 to 1.6), one per resource type and per event type.

#include "cli/deploy/schema.h"

namespace mayfly::cli {

const Schema& service_schema();    // of Properties
const Schema& function_schema();
const Schema& flow_schema();
const Schema& domain_schema();
// Of an event's Properties; nullptr for an event type that does not exist.
const Schema* event_schema(std::string_view type);

}  // namespace mayfly::cli
