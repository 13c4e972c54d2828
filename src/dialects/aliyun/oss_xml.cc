#include "dialects/aliyun/oss_xml.h"

#include <charconv>
#include <sstream>

#include "base/check.h"
#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

std::optional<int> number(std::string_view text) {
  text = trim(text);
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool too_deep(const pugi::xml_document& document) {
  struct Walker final : pugi::xml_tree_walker {
    bool for_each(pugi::xml_node&) override { return depth() <= kMaxXmlDepth; }
  } walker;
  pugi::xml_node root = document.document_element();
  return !root.traverse(walker);
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') {
          out += fmt::format("&#x{:x};", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

Xml& Xml::open(std::string_view name) {
  out_.append("<").append(name).append(">");
  open_.emplace_back(name);
  return *this;
}
Xml& Xml::close() {
  MAYFLY_CHECK(!open_.empty());
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}
Xml& Xml::leaf(std::string_view name, std::string_view text) {
  out_.append("<").append(name).append(">").append(xml_escape(text)).append("</").append(name).append(">");
  return *this;
}
Xml& Xml::raw(std::string_view markup) {
  out_ += markup;
  return *this;
}
std::string Xml::finish() && {
  while (!open_.empty()) close();
  return std::move(out_);
}

std::optional<pugi::xml_document> parse_xml(std::string_view text, std::string_view root) {
  if (text.size() > kMaxXmlBytes) return std::nullopt;
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8)) return std::nullopt;
  pugi::xml_node element = document.document_element();
  if (!element || (!root.empty() && element.name() != root) || too_deep(document)) return std::nullopt;
  return document;
}

std::string to_markup(const pugi::xml_node& element) {
  std::ostringstream out;
  element.print(out, "", pugi::format_raw | pugi::format_no_declaration, pugi::encoding_utf8);
  return out.str();
}

std::optional<DeleteBody> parse_delete(std::string_view text) {
  auto document = parse_xml(text, "Delete");
  if (!document) return std::nullopt;
  pugi::xml_node root = document->document_element();
  DeleteBody body{.quiet = equals_ignore_case(trim(root.child("Quiet").text().get()), "true")};
  for (pugi::xml_node object : root.children("Object")) {
    if (!object.child("Key")) return std::nullopt;
    body.keys.emplace_back(object.child("Key").text().get());
  }
  return body;
}

std::optional<std::vector<CompletePart>> parse_complete(std::string_view text) {
  auto document = parse_xml(text, "CompleteMultipartUpload");
  if (!document) return std::nullopt;
  std::vector<CompletePart> parts;
  for (pugi::xml_node part : document->document_element().children("Part")) {
    std::optional<int> part_number = number(part.child("PartNumber").text().get());
    if (!part_number || !part.child("ETag")) return std::nullopt;
    std::string_view etag = trim(part.child("ETag").text().get());
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
    parts.push_back({*part_number, std::string(etag)});
  }
  return parts;
}

std::optional<BucketCreation> parse_bucket_creation(std::string_view text) {
  BucketCreation creation;
  if (trim(text).empty()) return creation;
  auto document = parse_xml(text, "CreateBucketConfiguration");
  if (!document) return std::nullopt;
  pugi::xml_node root = document->document_element();
  if (std::string value = root.child("StorageClass").text().get(); !value.empty()) creation.storage_class = value;
  if (std::string value = root.child("DataRedundancyType").text().get(); !value.empty()) creation.redundancy = value;
  return creation;
}

std::optional<RestoreBody> parse_restore(std::string_view text) {
  RestoreBody body;
  if (trim(text).empty()) return body;
  auto document = parse_xml(text, "RestoreRequest");
  if (!document) return std::nullopt;
  pugi::xml_node root = document->document_element();
  if (pugi::xml_node days = root.child("Days")) {
    std::optional<int> count = number(days.text().get());
    if (!count) return std::nullopt;
    body.days = *count;
  }
  body.tier = root.child("JobParameters").child("Tier").text().get();
  return body;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_tagging(std::string_view text) {
  auto document = parse_xml(text, "Tagging");
  if (!document) return std::nullopt;
  std::vector<std::pair<std::string, std::string>> tags;
  pugi::xml_node set = document->document_element().child("TagSet");
  if (!set) return std::nullopt;
  for (pugi::xml_node tag : set.children("Tag")) {
    if (!tag.child("Key")) return std::nullopt;
    tags.emplace_back(tag.child("Key").text().get(), tag.child("Value").text().get());
  }
  return tags;
}

}  // namespace mayfly::dialects::aliyun
