#pragma once
// The operations of the OSS dialect, one function each, grouped by the file that holds them. Each authorizes its caller itself.

#include "dialects/aliyun/oss_call.h"

namespace mayfly::dialects::aliyun {

using OssTask = io::Task<OssResult>;

// oss_service.cc, oss_bucket.cc
OssTask list_buckets(OssCall& call);
OssTask put_bucket(OssCall& call);
OssTask delete_bucket(OssCall& call);
OssTask get_bucket_info(OssCall& call);
OssTask get_bucket_location(OssCall& call);
OssTask get_bucket_stat(OssCall& call);
OssTask get_bucket_acl(OssCall& call);
OssTask put_bucket_acl(OssCall& call);

// oss_config.cc: the configuration documents of a bucket. `name` is the sub-resource.
bool is_config(std::string_view name);
OssTask put_config(OssCall& call, std::string name);
OssTask get_config(OssCall& call, std::string name);
OssTask delete_config(OssCall& call, std::string name);

// oss_list.cc
OssTask list_objects(OssCall& call);
OssTask list_objects_v2(OssCall& call);
OssTask list_versions(OssCall& call);  // every object as its only version
OssTask list_uploads(OssCall& call);
OssTask list_live_channels(OssCall& call);

// oss_put.cc, oss_get.cc, oss_object.cc
OssTask put_object(OssCall& call);
OssTask append_object(OssCall& call);
OssTask copy_object(OssCall& call);
OssTask put_symlink(OssCall& call);
OssTask get_object(OssCall& call);  // HEAD too
OssTask get_object_meta(OssCall& call);
OssTask get_symlink(OssCall& call);
OssTask delete_object(OssCall& call);
OssTask delete_objects(OssCall& call);
OssTask get_object_acl(OssCall& call);
OssTask put_object_acl(OssCall& call);
OssTask get_object_tagging(OssCall& call);
OssTask put_object_tagging(OssCall& call);
OssTask delete_object_tagging(OssCall& call);
OssTask restore_object(OssCall& call);

// oss_multipart.cc
OssTask begin_upload(OssCall& call);
OssTask put_part(OssCall& call);
OssTask copy_part(OssCall& call);
OssTask list_parts(OssCall& call);
OssTask complete_upload(OssCall& call);
OssTask abort_upload(OssCall& call);

// oss_form.cc
OssTask post_object(OssCall& call);

// oss_cors.cc
OssTask preflight(OssCall& call);
// Adds the Access-Control headers that the bucket's rules grant to the request's Origin, if it has one.
io::Task<void> add_cors_headers(OssCall& call, http::Response& response);

}  // namespace mayfly::dialects::aliyun
