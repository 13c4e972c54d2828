#include "objects/layout.h"

#include "base/hash.h"
#include "store/keys.h"

namespace mayfly::objects {
namespace {

constexpr std::string_view kRoom = "obj";

// Header values need not be UTF-8 and come back as they were sent.
json::value parse_row(std::string_view row) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return json::parse(row, {}, options);
}

json::object encode_map(const std::map<std::string, std::string>& map) {
  json::object out;
  for (const auto& [name, value] : map) out[name] = value;
  return out;
}

std::map<std::string, std::string> decode_map(const json::value& row, std::string_view name) {
  std::map<std::string, std::string> out;
  const json::value* map = find(row, name);
  if (map == nullptr) return out;
  for (const auto& [key, value] : map->as_object()) out.emplace(key, view(value.as_string()));
  return out;
}

uint64_t count_of(const json::value& row, std::string_view name) {
  const json::value* value = find(row, name);
  return value == nullptr ? 0 : value->to_number<uint64_t>();
}

json::array parts_array(const std::vector<Part>& parts) {
  json::array out;
  for (const Part& part : parts) out.push_back(json::array{part.kind == Part::Kind::blob ? "b" : "i", part.id, part.size});
  return out;
}

std::vector<Part> parts_of(const json::array& array) {
  std::vector<Part> parts;
  for (const json::value& item : array) {
    const json::array& fields = item.as_array();
    parts.push_back({view(fields[0].as_string()) == "b" ? Part::Kind::blob : Part::Kind::inline_row, std::string(view(fields[1].as_string())),
                     fields[2].to_number<uint64_t>()});
  }
  return parts;
}

void put_text(json::object& row, std::string_view name, const std::string& value) {
  if (!value.empty()) row[name] = value;
}
void put_count(json::object& row, std::string_view name, uint64_t value) {
  if (value != 0) row[name] = value;
}

}  // namespace

std::string bucket_row_key(std::string_view bucket) { return store::make_key({kRoom, "b", bucket}); }
std::string gate_key(std::string_view bucket) { return store::make_key({kRoom, "g", bucket}); }
std::string object_key(std::string_view bucket, std::string_view key) { return store::make_key({kRoom, "o", bucket, key}); }
std::string inline_key(std::string_view part_id) { return store::make_key({kRoom, "i", part_id}); }
std::string manifest_key(std::string_view manifest_id) { return store::make_key({kRoom, "m", manifest_id}); }
std::string upload_key(std::string_view bucket, std::string_view key, std::string_view upload_id) {
  return store::make_key({kRoom, "u", bucket, key, upload_id});
}
std::string upload_part_key(std::string_view upload_id, int number) {
  return store::make_key({kRoom, "p", upload_id, store::ordered_int(number)});
}

std::string prefix_start(std::string_view space, std::string_view bucket, std::string_view key_prefix) {
  std::string key = store::make_key({kRoom, space, bucket, key_prefix});
  key.resize(key.size() - 2);  // without the terminator of the last part
  return key;
}
std::string space_start(std::string_view space) { return store::make_key({kRoom, space}); }

std::string encode_bucket(const Bucket& bucket) {
  return to_text(json::object{{"name", bucket.name},
                              {"class", bucket.storage_class},
                              {"redundancy", bucket.redundancy},
                              {"region", bucket.region},
                              {"acl", static_cast<int>(bucket.acl)},
                              {"created", bucket.created_us},
                              {"config", bucket.configuration}});
}

Bucket decode_bucket(std::string_view row) {
  json::value parsed = parse_row(row);
  Bucket bucket;
  bucket.name = string_or(parsed, "name");
  bucket.storage_class = string_or(parsed, "class");
  bucket.redundancy = string_or(parsed, "redundancy");
  bucket.region = string_or(parsed, "region");
  bucket.acl = static_cast<Acl>(int_or(parsed, "acl"));
  bucket.created_us = int_or(parsed, "created");
  bucket.configuration = parsed.as_object()["config"].as_object();
  return bucket;
}

std::string encode_object(const StoredObject& object) {
  const ObjectInfo& info = object.info;
  json::object row;
  row["t"] = static_cast<int>(info.type);
  row["s"] = info.size;
  row["e"] = info.etag;
  row["c"] = info.crc64;
  row["m"] = info.modified_us;
  row["q"] = info.sequencer;
  put_text(row, "ct", info.content_type);
  put_text(row, "sc", info.storage_class);
  put_text(row, "to", info.symlink_target);
  put_text(row, "md5", info.content_md5);
  if (!info.headers.empty()) row["h"] = encode_map(info.headers);
  if (!info.user_metadata.empty()) row["u"] = encode_map(info.user_metadata);
  if (!info.tags.empty()) row["g"] = encode_map(info.tags);
  put_count(row, "a", static_cast<uint64_t>(info.acl));
  put_count(row, "rr", static_cast<uint64_t>(info.restore_ready_us));
  put_count(row, "ru", static_cast<uint64_t>(info.restored_until_us));
  if (!object.manifest.empty()) {
    row["pm"] = object.manifest;
  } else if (!object.parts.empty()) {
    row["p"] = parts_array(object.parts);
  }
  return to_text(row);
}

StoredObject decode_object(std::string bucket, std::string key, std::string_view text) {
  json::value row = parse_row(text);
  StoredObject object;
  ObjectInfo& info = object.info;
  info.bucket = std::move(bucket);
  info.key = std::move(key);
  info.type = static_cast<ObjectType>(int_or(row, "t"));
  info.size = count_of(row, "s");
  info.etag = string_or(row, "e");
  info.crc64 = count_of(row, "c");
  info.modified_us = int_or(row, "m");
  info.sequencer = count_of(row, "q");
  info.content_type = string_or(row, "ct");
  info.storage_class = string_or(row, "sc");
  info.symlink_target = string_or(row, "to");
  info.content_md5 = string_or(row, "md5");
  info.headers = decode_map(row, "h");
  info.user_metadata = decode_map(row, "u");
  info.tags = decode_map(row, "g");
  info.acl = static_cast<Acl>(int_or(row, "a"));
  info.restore_ready_us = int_or(row, "rr");
  info.restored_until_us = int_or(row, "ru");
  object.manifest = string_or(row, "pm");
  if (const json::value* parts = find(row, "p")) object.parts = parts_of(parts->as_array());
  return object;
}

std::string encode_parts(const std::vector<Part>& parts) { return to_text(parts_array(parts)); }
std::vector<Part> decode_parts(std::string_view row) { return parts_of(parse_row(row).as_array()); }

std::string encode_upload_part(const UploadedPart& part) {
  StoredObject object{.info = part.info};
  if (!part.part.id.empty()) object.parts.push_back(part.part);
  return encode_object(object);
}

UploadedPart decode_upload_part(int number, std::string_view row) {
  StoredObject object = decode_object({}, {}, row);
  UploadedPart part{.number = number, .info = std::move(object.info)};
  if (!object.parts.empty()) part.part = std::move(object.parts.front());
  return part;
}

std::string encode_inline(std::string_view bytes) {
  uint32_t sum = crc32c(bytes);
  std::string row(4, 0);
  for (int i = 0; i < 4; ++i) row[i] = static_cast<char>(sum >> (8 * i));
  return row.append(bytes);
}

std::optional<std::string> decode_inline(std::string_view row) {
  if (row.size() < 4) return std::nullopt;
  uint32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum |= uint32_t{static_cast<unsigned char>(row[i])} << (8 * i);
  row.remove_prefix(4);
  if (crc32c(row) != sum) return std::nullopt;
  return std::string(row);
}

std::string new_part_id(const Clock& clock, Rng& rng) { return fmt::format("{:016x}{:016x}", clock.wall_us(), rng.next()); }

}  // namespace mayfly::objects
