// Everything about an object but its bytes: deleting, ACL, tags, restoring.
#include "base/encoding.h"
#include "dialects/aliyun/oss_metadata.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr size_t kMaxDeletedKeys = 1000;
// How long a restore takes, by tier; the real service needs minutes to hours, we only keep its order of events observable.
constexpr int64_t kRestoreUs = 60 * kMicrosPerSecond;
constexpr int64_t kDayUs = 24 * 3600 * kMicrosPerSecond;

}  // namespace

OssTask delete_object(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:DeleteObject"));
  MAYFLY_CO_TRY(bool existed, co_await call.context.objects.remove(call.loop, call.bucket, call.key, call.caller()));
  // A key that was not there is as good as deleted, a bucket that was not there is not.
  if (!existed) MAYFLY_CO_TRY_VOID(co_await load_bucket(call));
  co_return empty_response(204);
}

OssTask delete_objects(OssCall& call) {
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxXmlBytes));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  std::optional<DeleteBody> wanted = parse_delete(body);
  if (!wanted || wanted->keys.empty() || wanted->keys.size() > kMaxDeletedKeys) co_return malformed_xml();
  for (const std::string& key : wanted->keys) {
    if (key.empty() || key.size() > objects::kMaxKeyBytes) co_return malformed_xml();
    call.key = key;
    MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:DeleteObject"));
  }
  call.key.clear();
  MAYFLY_CO_TRY_VOID(co_await call.context.objects.remove_many(call.loop, call.bucket, wanted->keys, call.caller()));
  if (wanted->quiet) co_return empty_response(200);
  bool url = call.parameter("encoding-type") == "url";
  Xml xml("DeleteResult");
  if (url) xml.leaf("EncodingType", "url");
  for (const std::string& key : wanted->keys) xml.open("Deleted").leaf("Key", url ? percent_encode(key, Slash::encode) : key).close();
  co_return xml_response(std::move(xml).finish());
}

OssTask get_object_acl(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetObjectAcl"));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep));
  Xml xml("AccessControlPolicy");
  xml.open("Owner").leaf("ID", call.context.account).leaf("DisplayName", call.context.account).close();
  xml.open("AccessControlList").leaf("Grant", acl_word(info.acl)).close();
  co_return xml_response(std::move(xml).finish());
}

OssTask put_object_acl(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:PutObjectAcl"));
  std::string word = call.header("x-oss-object-acl");
  std::optional<objects::Acl> acl = parse_object_acl(word);
  if (!acl) co_return invalid_argument("no such object access control exists", "x-oss-object-acl", word);
  auto change = [acl](objects::ObjectInfo& info) -> objects::Result<void> {
    info.acl = *acl;
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.objects.edit(call.loop, call.bucket, call.key, change));
  co_return empty_response(200);
}

OssTask get_object_tagging(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:GetObjectTagging"));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep));
  Xml xml("Tagging");
  xml.open("TagSet");
  for (const auto& [key, value] : info.tags) xml.open("Tag").leaf("Key", key).leaf("Value", value).close();
  co_return xml_response(std::move(xml).finish());
}

OssTask put_object_tagging(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:PutObjectTagging"));
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxXmlBytes));
  auto parsed = parse_tagging(body);
  if (!parsed) co_return malformed_xml();
  MAYFLY_CO_TRY(auto tags, check_object_tags(*parsed));
  auto change = [&tags](objects::ObjectInfo& info) -> objects::Result<void> {
    info.tags = tags;
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.objects.edit(call.loop, call.bucket, call.key, change));
  co_return empty_response(200);
}

OssTask delete_object_tagging(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:DeleteObjectTagging"));
  auto change = [](objects::ObjectInfo& info) -> objects::Result<void> {
    info.tags.clear();
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.objects.edit(call.loop, call.bucket, call.key, change));
  co_return empty_response(204);
}

OssTask restore_object(OssCall& call) {
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::owner, "oss:RestoreObject"));
  MAYFLY_CO_TRY(std::string body, co_await read_body(call, kMaxXmlBytes));
  MAYFLY_CO_TRY(objects::Bucket bucket, co_await load_bucket(call));
  MAYFLY_CO_TRY(objects::ObjectInfo info, co_await call.context.objects.head(call.loop, call.bucket, call.key, objects::Objects::Links::keep));
  const std::string& storage_class = info.storage_class.empty() ? bucket.storage_class : info.storage_class;
  if (!is_archived_class(storage_class)) co_return refuse(400, "OperationNotSupported", "The operation is not supported for this resource");
  std::optional<RestoreBody> wanted = parse_restore(body);
  if (!wanted) co_return malformed_xml();
  if (wanted->days < 1 || wanted->days > 365) co_return invalid_argument("The days of a restore are 1 to 365.", "Days", std::to_string(wanted->days));
  std::string tier = wanted->tier.empty() ? "Standard" : wanted->tier;
  bool archive = storage_class == "Archive";
  if (archive && !wanted->tier.empty()) co_return malformed_xml();  // archived objects have one speed
  if (tier != "Standard" && tier != "Expedited" && tier != "Bulk") co_return invalid_argument("The restore tier is not valid.", "Tier", tier);
  int64_t now_us = call.context.clock.wall_us();
  if (info.restore_ready_us > now_us) co_return refuse(409, "RestoreAlreadyInProgress", "The restore operation is in progress.");
  bool restored = info.restore_ready_us != 0 && now_us < info.restored_until_us;
  auto change = [now_us, restored, days = wanted->days](objects::ObjectInfo& object) -> objects::Result<void> {
    if (!restored) object.restore_ready_us = now_us + kRestoreUs;
    object.restored_until_us = std::max(now_us, object.restore_ready_us) + days * kDayUs;
    return {};
  };
  MAYFLY_CO_TRY_VOID(co_await call.context.objects.edit(call.loop, call.bucket, call.key, change));
  http::Response response = empty_response(restored ? 200 : 202);
  if (!archive) response.headers.set("x-oss-object-restore-priority", tier);
  co_return response;
}

}  // namespace mayfly::dialects::aliyun
