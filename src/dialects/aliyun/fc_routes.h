#pragma once
// The paths of the FC API (aliyun-fc.md section 7.1) as a table: method, pattern, what the body is, which policy action it needs, and
// the operation. A pattern's parts are words or {service}, {function}, {item}, and at the end {rest}.

#include <string>
#include <string_view>
#include <vector>

#include "dialects/aliyun/fc_operations.h"

namespace mayfly::dialects::aliyun {

enum class FcBody { none, json, optional_json, code, event };
enum class FcAccess {
  signed_,  // signature, and the route's action on the resource of the path
  own,      // the operation decides
};

struct FcRoute {
  std::string_view method, pattern;
  FcBody body;
  FcAccess access;
  std::string_view action;  // "fc:CreateService"
  FcOperation operation;
};

// True for paths of this API: /2016-08-15/... and /2021-04-06/...
bool is_fc_api_path(std::string_view raw_path);

// Finds the route of call.request and fills the call's version, service, qualifier, function, item and rest. PathNotSupported for a
// path that is none, or a method it does not have.
FcExpected<const FcRoute*> find_route(FcCall& call);

}  // namespace mayfly::dialects::aliyun
