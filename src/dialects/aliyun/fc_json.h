#pragma once
// The catalogue's nouns as FC writes and reads them (aliyun-fc.md section 7.3). A reader lays what was sent over what is there: a new
// noun starts from the defaults, an update from the stored one, and a member that was not sent stays.

#include "dialects/aliyun/fc_call.h"

namespace mayfly::dialects::aliyun {

json::object service_json(const functions::Service& service);
json::object function_json(const functions::Function& function);
json::object trigger_json(const functions::Trigger& trigger, const std::string& version);
json::object version_json(const functions::Version& version);
json::object alias_json(const functions::Alias& alias);

// Names are not read here: a path's or a create's own.
FcExpected<void> read_service(const json::value& body, functions::Service& service);
FcExpected<void> read_function(const json::value& body, functions::Function& function);  // all but the code
FcExpected<void> read_trigger(const json::value& body, functions::Trigger& trigger);
FcExpected<void> read_alias(const json::value& body, functions::Alias& alias);

}  // namespace mayfly::dialects::aliyun
