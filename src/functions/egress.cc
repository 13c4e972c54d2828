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
constexpr std::array<uint16_t, 2> kDoorPorts{80, 443};
constexpr size_t kMaxNameBytes = 253;  // RFC 1035 section 2.3.4

// Where clouds tell a machine about itself: all that is link-local, Alibaba's, Oracle's, Azure's wire server; over IPv6 Amazon's, Google's,
// Oracle's, Scaleway's.
struct Network {
  std::string_view first;
  size_t bits;
};
constexpr Network kMetadata[] = {{"169.254.0.0", 16}, {"100.100.100.200", 32}, {"192.0.0.192", 32}, {"168.63.129.16", 32}, {"fe80::", 10},
                                 {"fd00:ec2::", 32}, {"fd20:ce::254", 128}, {"fd00:c1::a9fe:a9fe", 128}, {"fd00:42::42", 128}};

struct Address {
  bool v4 = false, v6 = false;  // neither: it is none
  std::array<unsigned char, 16> bytes{};
};

Address parse_address(std::string_view text) {
  std::string copy(text.substr(0, text.find('%')));  // an interface, as in fe80::1%eth0
  Address out;
  out.v4 = ::inet_pton(AF_INET, copy.c_str(), out.bytes.data()) == 1;
  if (out.v4) return out;
  out.v6 = ::inet_pton(AF_INET6, copy.c_str(), out.bytes.data()) == 1;
  // ::ffff:a.b.c.d is a.b.c.d, and 64:ff9b::a.b.c.d leads there (NAT64, RFC 6052).
  constexpr unsigned char kLeading[][12] = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}};
  for (const auto& leading : kLeading) {
    if (!out.v6 || std::memcmp(out.bytes.data(), leading, sizeof leading) != 0) continue;
    std::copy(out.bytes.begin() + 12, out.bytes.end(), out.bytes.begin());
    out.v4 = true;
    out.v6 = false;
  }
  return out;
}

bool is_within(const Address& address, const Network& network) {
  Address first = parse_address(network.first);
  if (address.v4 != first.v4 || address.v6 != first.v6) return false;
  for (size_t bit = 0; bit < network.bits; ++bit)
    if (((address.bytes[bit / 8] ^ first.bytes[bit / 8]) & (0x80u >> bit % 8)) != 0) return false;
  return true;
}

bool is_name(std::string_view host) {
  if (host.empty() || host.size() > kMaxNameBytes) return false;
  return std::all_of(host.begin(), host.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_'; });
}

}  // namespace

bool is_metadata_address(std::string_view text) {
  Address address = parse_address(text);
  return std::any_of(std::begin(kMetadata), std::end(kMetadata), [&](const Network& network) { return is_within(address, network); });
}

bool is_loopback_address(std::string_view text) {
  Address address = parse_address(text);
  if (address.v4) return address.bytes[0] == 127 || address.bytes[0] == 0;
  return address.v6 && std::all_of(address.bytes.begin(), address.bytes.end() - 1, [](unsigned char each) { return each == 0; }) && address.bytes[15] <= 1;
}

bool may_reach(const EgressRule& rule, std::string_view text) {
  Address address = parse_address(text);
  if ((!address.v4 && !address.v6) || is_metadata_address(text)) return false;
  return !is_loopback_address(text) || rule.host == "localhost" || is_loopback_address(rule.host);
}

bool is_at_loopback(const EgressRule& rule) { return rule.host == "localhost" || rule.host == "127.0.0.1" || rule.host == "0.0.0.0"; }

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
  if (is_at_loopback(rule) && std::find(kDoorPorts.begin(), kDoorPorts.end(), rule.port) != kDoorPorts.end())
    return fail(CatalogueError::invalid, fmt::format("{}:{} cannot be granted: in a sandbox the platform answers there", rule.host, rule.port));
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
