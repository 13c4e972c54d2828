#pragma once
// Egress: where a function may connect to beyond the platform. A function's sandbox has a network of its own with nothing in it; each
// granted host:port gets a listener there whose bytes the server carries (DESIGN 4.10). Only the machine's operator grants: no vendor's API
// reads or writes these.

#include <string>
#include <string_view>
#include <vector>

#include "functions/catalogue.h"

namespace mayfly::functions {

constexpr size_t kMaxEgressRules = 64;  // of one function; each is a listening socket in every one of its sandboxes

struct EgressRule {
  std::string host;  // lower case; a name, or an IPv4 address
  uint16_t port = 0;
  bool operator==(const EgressRule&) const = default;
};

// "db.example.com:5432", "10.0.0.5:443". Invalid with a sentence: no wildcards, no IPv6, no metadata addresses, ports 1-65535; 53 is the
// name server's, and at localhost 80 and 443 are the platform's.
Result<EgressRule> parse_egress(std::string_view text);
Result<std::vector<EgressRule>> parse_egress(const std::vector<std::string>& texts);

// Addresses that no function reaches, granted or not: link-local and the clouds' metadata services. `address` is numeric, IPv4 or IPv6.
bool is_metadata_address(std::string_view address);
// Of this machine itself. A granted name that leads here does so only if it is a name of this machine: "localhost" or 127.x.
bool is_loopback_address(std::string_view address);
// Whether a connection granted by `rule` may go to `address`, which its host led to. Never to what is no numeric address.
bool may_reach(const EgressRule& rule, std::string_view address);

// Whether its listener inside (runtime/egress.h) has the address of the platform's doors and of a function's own server, 127.0.0.1.
bool is_at_loopback(const EgressRule& rule);

}  // namespace mayfly::functions
