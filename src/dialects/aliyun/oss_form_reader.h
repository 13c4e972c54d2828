#pragma once
// multipart/form-data as browsers and SDKs post it (aliyun-oss.md section 6): small fields first, then the file, whose bytes are handed on
// as they arrive. What follows the file is not read.

#include <memory>
#include <optional>
#include <string>

#include "http/message.h"

namespace mayfly::dialects::aliyun {

enum class FormError { malformed, too_large, body_failed };

constexpr size_t kMaxFormHeaderBytes = 8 * 1024;       // of one part
constexpr size_t kMaxFormValueBytes = 2 * 1024 * 1024;  // of one field
constexpr size_t kMaxFormFields = 100;
constexpr size_t kMaxFormBytes = 4 * 1024 * 1024;  // of all fields together

struct FormPart {
  std::string name, filename, content_type;
  std::string value;  // of a field; empty for the file
  bool is_file = false;
};

// The "boundary" of a multipart/form-data Content-Type; nullopt when it has none.
std::optional<std::string> form_boundary(std::string_view content_type);

class FormReader {
 public:
  FormReader(std::unique_ptr<http::Body> body, const std::string& boundary) : body_(std::move(body)), delimiter_("\r\n--" + boundary) {}

  // The next field or the file ("file" is the name that makes it one); nullopt after the last part. Not to be called after the file.
  io::Task<std::expected<std::optional<FormPart>, FormError>> next();
  // The bytes of the file, once next() has found it. Takes the reader's place: the reader is done.
  static std::unique_ptr<http::Body> file(FormReader reader);

 private:
  friend class FormFile;

  io::Task<std::expected<bool, FormError>> fill();  // more of the body into buffer_; false at its end
  // Everything up to `mark`, which is taken away; too_large beyond `limit`, malformed when the body ends first.
  io::Task<std::expected<std::string, FormError>> take_until(std::string mark, size_t limit);

  std::unique_ptr<http::Body> body_;
  std::string delimiter_;
  std::string buffer_ = "\r\n";  // so that the first delimiter looks like the others
  size_t fields_ = 0, bytes_ = 0;
};

}  // namespace mayfly::dialects::aliyun
