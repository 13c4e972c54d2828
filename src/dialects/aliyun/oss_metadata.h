#pragma once
// What request headers say about an object and how it reads back (aliyun-oss.md sections 3 and 4.1).

#include "dialects/aliyun/oss_call.h"

namespace mayfly::dialects::aliyun {

// Tags as pairs, checked: at most 10, keys 1-128 and values up to 256 characters of letters, digits and " +-=._:/", no duplicates.
OssExpected<std::map<std::string, std::string>> check_object_tags(const std::vector<std::pair<std::string, std::string>>& tags);
// The same from "a=1&b=2", URL-encoded.
OssExpected<std::map<std::string, std::string>> parse_tag_header(const std::string& header);

// content type, x-oss-storage-class, x-oss-object-acl, x-oss-tagging, the standard headers and x-oss-meta-*, for the call's bucket and key.
OssExpected<objects::ObjectInfo> info_from_headers(const OssCall& call);
objects::Overwrite overwrite_of(const OssCall& call);

// If-Match and so on; `prefix` is "" or "x-oss-copy-source-".
objects::Conditions conditions_of(const OssCall& call, const std::string& prefix);

// The headers of an answer that shows `info`, without Content-Length.
void describe_object(const objects::ObjectInfo& info, const objects::Bucket& bucket, const Clock& clock, http::Headers& headers);
std::string quoted(const std::string& etag);

}  // namespace mayfly::dialects::aliyun
