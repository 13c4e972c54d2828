// PostObject: an upload by HTML form (aliyun-oss.md section 6).
#include "base/encoding.h"
#include "dialects/aliyun/oss_form_policy.h"
#include "dialects/aliyun/oss_form_reader.h"
#include "dialects/aliyun/oss_metadata.h"
#include "dialects/aliyun/oss_operations.h"

namespace mayfly::dialects::aliyun {
namespace {

// Passes a body on and refuses its end while it is smaller than a policy wants.
class LeastBody final : public http::Body {
 public:
  LeastBody(std::unique_ptr<http::Body> body, uint64_t least, bool& too_small) : body_(std::move(body)), least_(least), too_small_(too_small) {}
  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    auto piece = co_await body_->next();
    if (piece && *piece) size_ += (*piece)->size();
    if (piece && !*piece && size_ < least_) {
      too_small_ = true;
      co_return std::unexpected(http::BodyError::malformed);
    }
    co_return piece;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  std::unique_ptr<http::Body> body_;
  uint64_t least_, size_ = 0;
  bool& too_small_;
};

OssError form_error(FormError error) {
  if (error == FormError::too_large) return {400, "FieldItemTooLong", "Your POST request fields exceed the maximum allowed size."};
  return {400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."};
}

struct Form {
  http::Query fields;  // names lower case
  FormPart file;
  std::string get(std::string_view name) const {
    const std::string* value = http::find(fields, name);
    return value ? *value : std::string();
  }
};

// The fields before the file.
io::Task<OssExpected<Form>> read_fields(FormReader& reader) {
  Form form;
  for (;;) {
    auto part = co_await reader.next();
    if (!part) co_return std::unexpected(form_error(part.error()));
    if (!*part) co_return refuse(400, "IncorrectNumberOfFilesInPOSTRequest", "POST requires exactly one file upload per request.");
    if ((*part)->is_file) {
      form.file = std::move(**part);
      co_return form;
    }
    form.fields.emplace_back(lower((*part)->name), std::move((*part)->value));
  }
}

// Form fields speak as headers would; what the form's own request says about itself does not count.
void fields_to_headers(const Form& form, http::Headers& headers) {
  std::string type = form.get("x-oss-content-type");
  if (type.empty()) type = form.file.content_type;
  if (type.empty()) type = form.get("content-type");
  headers = {};
  if (!type.empty()) headers.set("Content-Type", type);
  for (const auto& [name, value] : form.fields) {
    bool kept = name == "cache-control" || name == "content-disposition" || name == "content-encoding" || name == "expires" ||
                (name.starts_with("x-oss-") && name != "x-oss-content-type");
    if (kept) headers.set(name, value);
  }
}

http::Response form_response(const OssCall& call, const Form& form, const objects::ObjectInfo& info) {
  http::Response response;
  std::string location = fmt::format("{}://{}/{}/{}", call.request.scheme, call.endpoint(), call.bucket, percent_encode(call.key, Slash::keep));
  std::string redirect = form.get("success_action_redirect"), status = form.get("success_action_status");
  if (!redirect.empty() && redirect.find_first_of("\r\n") == std::string::npos) {
    response.status = 303;
    response.headers.set("Location", fmt::format("{}{}bucket={}&key={}&etag={}", redirect, redirect.find('?') == std::string::npos ? '?' : '&',
                                                 percent_encode(call.bucket), percent_encode(call.key), percent_encode(quoted(info.etag))));
  } else if (status == "201") {
    Xml xml("PostResponse");
    xml.leaf("Bucket", call.bucket).leaf("ETag", quoted(info.etag)).leaf("Key", call.key).leaf("Location", location);
    response = xml_response(std::move(xml).finish());
    response.status = 201;
    response.headers.set("Location", location);
  } else {
    response.status = status == "200" ? 200 : 204;
  }
  response.headers.set("ETag", quoted(info.etag));
  response.headers.set("x-oss-hash-crc64ecma", std::to_string(info.crc64));
  return response;
}

}  // namespace

OssTask post_object(OssCall& call) {
  std::optional<std::string> boundary = form_boundary(call.header("Content-Type"));
  if (!boundary) co_return refuse(400, "MalformedPOSTRequest", "The Content-Type of a form names its boundary.");
  FormReader reader(std::move(call.request.body), *boundary);
  MAYFLY_CO_TRY(Form form, co_await read_fields(reader));
  call.key = form.get("key");
  if (size_t at = call.key.find("${filename}"); at != std::string::npos) {
    call.key.replace(at, std::string_view("${filename}").size(), form.file.filename.substr(form.file.filename.find_last_of("/\\") + 1));
  }
  if (call.key.empty() || call.key.front() == '/' || call.key.front() == '\\') co_return invalid_argument("The key of the form is not valid.", "key", call.key);
  MAYFLY_CO_TRY(call.identity, call.context.verify_form(form.fields));
  MAYFLY_CO_TRY_VOID(co_await authorize(call, Need::write_object, "oss:PutObject"));
  SizeLimits limits;
  if (std::string policy = form.get("policy"); !policy.empty()) {
    http::Query known = form.fields;
    known.emplace_back("bucket", call.bucket);
    MAYFLY_CO_TRY(limits, check_form_policy(policy, known));
  }
  fields_to_headers(form, call.request.headers);
  objects::PutRequest request{.overwrite = overwrite_of(call), .limit_bytes = limits.most, .kind = objects::Change::Kind::post, .caller = call.caller()};
  MAYFLY_CO_TRY(request.info, info_from_headers(call));
  bool too_small = false;
  auto body = std::make_unique<LeastBody>(FormReader::file(std::move(reader)), limits.least, too_small);
  auto info = co_await call.context.objects.put(call.loop, std::move(request), std::move(body));
  if (!info && too_small) co_return refuse(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.");
  if (!info) co_return std::unexpected(OssError(info.error()));
  co_return form_response(call, form, *info);
}

}  // namespace mayfly::dialects::aliyun
