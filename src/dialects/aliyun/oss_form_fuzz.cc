// Upload forms: whatever the body and however it is cut into pieces, fields and file are the same.
#include "base/check.h"
#include "dialects/aliyun/oss_form_policy.h"
#include "dialects/aliyun/oss_form_reader.h"
#include "io/sim_loop.h"

namespace mayfly::dialects::aliyun {
namespace {

class Pieces final : public http::Body {
 public:
  Pieces(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  io::Task<std::expected<std::optional<std::string>, http::BodyError>> next() override {
    if (at_ >= bytes_.size()) co_return std::nullopt;
    std::string out = bytes_.substr(at_, piece_);
    at_ += out.size();
    co_return out;
  }
  std::optional<uint64_t> declared_size() const override { return std::nullopt; }

 private:
  std::string bytes_;
  size_t piece_, at_ = 0;
};

io::Task<std::string> read_form(std::string bytes, size_t piece) {
  FormReader reader(std::make_unique<Pieces>(std::move(bytes), piece), "B");
  std::string seen;
  for (;;) {
    auto part = co_await reader.next();
    if (!part) co_return seen + "!" + std::to_string(static_cast<int>(part.error()));
    if (!*part) co_return seen + ".";
    seen += (*part)->name + "=" + (*part)->value + ";" + (*part)->filename + ";" + (*part)->content_type + ";";
    if (!(*part)->is_file) continue;
    auto file = FormReader::file(std::move(reader));
    for (;;) {
      auto bytes_of_file = co_await file->next();
      if (!bytes_of_file) co_return seen + "?";
      if (!*bytes_of_file) co_return seen + ".";
      seen += **bytes_of_file;
    }
  }
}

}  // namespace
}  // namespace mayfly::dialects::aliyun

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mayfly;
  using namespace mayfly::dialects::aliyun;
  if (size > 8'000) return 0;  // limits count pieces of the whole; below them every cut must agree
  std::string text(reinterpret_cast<const char*>(data), size);
  io::SimLoop loop;
  std::string whole = loop.wait(read_form(text, text.size() + 1));
  MAYFLY_CHECK(loop.wait(read_form(text, 1)) == whole);
  MAYFLY_CHECK(loop.wait(read_form(text, 7)) == whole);
  form_boundary(text);
  check_form_policy(text, {{"key", "a"}, {"bucket", "b"}});
  return 0;
}
