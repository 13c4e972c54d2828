#include "functions/egress.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/encoding.h"

namespace mayfly::functions {
namespace {

constexpr uint16_t kNamesPort = 53;
constexpr size_t kMaxNameBytes = 253;  // RFC 1035 section 2.3.4
// Beyond the link-local ones: Alibaba's, Oracle's, Azure's wire server, AWS over IPv6.
constexpr std::array<std::string_view, 4> kMetadata{"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"};

struct Address {
  bool v4 = false, v6 = false;
  std::array<unsigned char, 16> bytes{};
};

Address parse_address(std::string_view text) {
  std::string copy(text);
  Address out;
  out.v4 = ::inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1;
  if (out.v4) return out;
  out.v6 = ::inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) == 1;
  constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (out.v6 && std::memcmp(out.bytes.data(), kMapped, sizeof kMapped) == 0) {  // ::ffff:a.b.c.d is a.b.c.d
    std::copy(out.bytes.begin() + 12, out.bytes.end(), out.bytes.begin());
    out.v4 = true;
    out.v6 = false;
  }
  return out;
}

bool same(const Address& a, const Address& b) { return a.v4 == b.v4 && a.v6 == b.v6 && std::memcmp(a.bytes.data(), b.bytes.data(), a.v4 ? 4 : 16) == 0; }

bool is_name(std::string_view host) {
  if (host.empty() || host.size() > kMaxNameBytes) return false;
  return std::all_of(host.begin(), host.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_'; });
}

}  // namespace

bool is_metadata_address(std::string_view text) {
  Address address = parse_address(text);
  if (address.v4 && address.bytes[0] == 169 && address.bytes[1] == 254) return true;
  if (address.v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80) return true;
  return std::any_of(kMetadata.begin(), kMetadata.end(), [&](std::string_view each) { return same(address, parse_address(each)); });
}

bool is_loopback_address(std::string_view text) {
  Address address = parse_address(text);
  if (address.v4) return address.bytes[0] == 127 || address.bytes[0] == 0;
  return address.v6 && std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](unsigned char each) { return each == 0; }) && address.bytes[15] <= 1;
}

Result<EgressRule> parse_egress(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == text.npos) return fail(CatalogueError::invalid, fmt::format("\"{}\" has no port", text), "write host:port, as in db.example.com:5432");
  EgressRule rule{.host = lower(std::string(text.substr(0, colon)))};
  std::string_view port = text.substr(colon + 1);
  unsigned number = 0;
  auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (failed != std::errc() || end != port.data() + port.size() || number == 0 || number > 65'535) {
    return fail(CatalogueError::invalid, fmt::format("\"{}\" is no port", port), "ports are 1 to 65535");
  }
  rule.port = static_cast<uint16_t>(number);
  if (rule.host.find('*') != rule.host.npos) return fail(CatalogueError::invalid, fmt::format("\"{}\" is a pattern", rule.host), "grant each host by its name");
  if (!is_name(rule.host)) return fail(CatalogueError::invalid, fmt::format("\"{}\" is neither a host name nor an IPv4 address", rule.host));
  if (is_metadata_address(rule.host)) return fail(CatalogueError::invalid, fmt::format("{} is a cloud's metadata service, which no function may reach", rule.host));
  if (rule.port == kNamesPort) return fail(CatalogueError::invalid, "port 53 cannot be granted: the sandbox has a name server of its own");
  return rule;
}

Result<std::vector<EgressRule>> parse_egress(const std::vector<std::string>& texts) {
  if (texts.size() > kMaxEgressRules) return fail(CatalogueError::invalid, fmt::format("a function may be granted at most {} destinations", kMaxEgressRules));
  std::vector<EgressRule> rules;
  for (const auto& text : texts) {
    MAYFLY_TRY(EgressRule rule, parse_egress(std::string_view(text)));
    if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace mayfly::functions
