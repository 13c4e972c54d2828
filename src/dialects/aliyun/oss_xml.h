#pragma once
// The XML of OSS: a writer of small documents and bounded readers of the documents that clients send (aliyun-oss.md section 4.2). Readers
// take text and give back values, so that each can be fuzzed alone; nullopt or an OssError is MalformedXML.

#include <optional>
#include <pugixml.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mayfly::dialects::aliyun {

// Escapes for element text. Control characters are written as references: clients that may list such keys ask for url encoding.
std::string xml_escape(std::string_view text);

class Xml {
 public:
  explicit Xml(std::string_view root) { out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", open(root); }
  Xml& open(std::string_view name);
  Xml& close();  // the element opened last
  Xml& leaf(std::string_view name, std::string_view text);
  Xml& leaf(std::string_view name, const char* text) { return leaf(name, std::string_view(text)); }
  Xml& leaf(std::string_view name, bool value) { return leaf(name, value ? "true" : "false"); }
  Xml& leaf(std::string_view name, uint64_t value) { return leaf(name, std::to_string(value)); }
  Xml& raw(std::string_view markup);
  std::string finish() &&;

 private:
  std::string out_;
  std::vector<std::string> open_;
};

constexpr size_t kMaxXmlBytes = 8 << 20;  // a deletion of 1,000 keys of 1,023 bytes, every byte escaped
constexpr int kMaxXmlDepth = 32;          // the deepest document of section 4.2 has 7

// Parses a whole document whose root element is `root` (any when empty); nullopt otherwise, or when it is deeper than kMaxXmlDepth.
std::optional<pugi::xml_document> parse_xml(std::string_view text, std::string_view root);
// The element without white space between elements, as it is stored and given back.
std::string to_markup(const pugi::xml_node& element);

struct DeleteBody {
  bool quiet = false;
  std::vector<std::string> keys;
};
std::optional<DeleteBody> parse_delete(std::string_view text);

struct CompletePart {
  int number = 0;
  std::string etag;
};
std::optional<std::vector<CompletePart>> parse_complete(std::string_view text);

struct BucketCreation {
  std::string storage_class = "Standard", redundancy = "LRS";
};
std::optional<BucketCreation> parse_bucket_creation(std::string_view text);

struct RestoreBody {
  int days = 1;
  std::string tier;  // "" when not given
};
std::optional<RestoreBody> parse_restore(std::string_view text);

// The key/value pairs of a Tagging document, in order, duplicates kept.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_tagging(std::string_view text);

}  // namespace mayfly::dialects::aliyun
