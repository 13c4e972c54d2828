#include "dialects/aliyun/endpoints.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace mayfly::dialects::aliyun {
namespace {

constexpr std::string_view kDomain = ".aliyuncs.com";
constexpr std::array<std::string_view, 3> kFcVersions = {"/2016-08-15", "/2021-04-06", "/2023-03-30"};

// The labels of a vendor's host name before ".aliyuncs.com", lower case; "" for any other host.
std::string vendor_labels(std::string_view host) {
  std::string_view name = without_port(host);
  if (name.size() < kDomain.size() || !equals_ignore_case(name.substr(name.size() - kDomain.size()), kDomain)) return "";
  return lower(name.substr(0, name.size() - kDomain.size()));
}

// Splits off the last label: "acct.cn-hangzhou.fnf" -> "fnf".
std::string_view last_label(std::string_view labels) { return labels.substr(labels.rfind('.') + 1); }

bool is_oss_label(std::string_view label) { return label == "oss" || label.starts_with("oss-"); }

bool is_form(const http::Request& request) {
  return lower(request.headers.get("Content-Type")).starts_with("application/x-www-form-urlencoded");
}

}  // namespace

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);  // an IPv6 literal
  return host.substr(0, host.find(':'));
}

std::optional<std::string> oss_host_bucket(std::string_view host) {
  const std::string labels = vendor_labels(host);
  if (labels.empty() || !is_oss_label(last_label(labels))) return std::nullopt;
  const size_t dot = labels.rfind('.');
  return dot == std::string::npos ? "" : labels.substr(0, dot);
}

std::string_view vendor_host(std::string_view host) {
  const std::string labels = vendor_labels(host);
  if (labels.empty()) return "";
  const std::string_view last = last_label(labels);
  if (is_oss_label(last)) return "oss";
  // The product comes last ("acct.cn-hangzhou.fnf", "project.cn-hangzhou.log"), or first where the region follows ("sts.cn-hangzhou",
  // "acct.mns.cn-hangzhou").
  for (std::string_view product : {"fnf", "fc", "sts", "ram", "mns", "log"}) {
    if (last == product || labels.starts_with(std::string(product) + ".")) return product;
    if (product == "mns" && labels.contains(".mns.")) return product;
  }
  return "";
}

bool is_fc_path(std::string_view raw_path) {
  return std::ranges::any_of(kFcVersions, [&](std::string_view version) {
    return raw_path.starts_with(version) && (raw_path.size() == version.size() || raw_path[version.size()] == '/');
  });
}

bool is_rpc(const http::Request& request) {
  const std::string_view product = vendor_host(request.host);
  if (product == "fnf" || product == "sts" || product == "ram") return true;
  if (!product.empty() || (request.raw_path != "/" && !request.raw_path.empty())) return false;
  if (request.method != "GET" && request.method != "POST") return false;
  if (request.headers.has("x-acs-action") || http::find(request.query(), "Action") != nullptr) return true;
  return request.method == "POST" && is_form(request);
}

Product product_of(const http::Request& request) {
  const std::string_view product = vendor_host(request.host);
  if (product == "oss") return Product::oss;
  if (product == "fc") return Product::fc;
  if (is_rpc(request)) return Product::rpc;
  return is_fc_path(request.raw_path) ? Product::fc : Product::oss;
}

}  // namespace mayfly::dialects::aliyun
