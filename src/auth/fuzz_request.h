#pragma once
// Turns fuzzer input into a request: lines are method, target, host, then one header each. Whatever arrives, a verifier may refuse or
// accept; it must not crash, and must never accept under two different secrets.

#include "auth/keyring.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "http/message.h"

namespace mayfly::auth {

inline http::Request read_fuzz_request(std::string_view input) {
  auto line = [&] {
    const size_t end = input.find('\n');
    const std::string_view out = input.substr(0, end);
    input = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
    return std::string(out);
  };
  http::Request request;
  request.method = line();
  const std::string target = line();
  request.raw_path = target.substr(0, target.find('?'));
  if (const size_t mark = target.find('?'); mark != std::string::npos) request.raw_query = target.substr(mark + 1);
  request.host = line();
  while (!input.empty()) {
    const std::string header = line();
    const size_t colon = header.find(':');
    if (colon != std::string::npos) request.headers.add(header.substr(0, colon), std::string(trim(header.substr(colon + 1))));
  }
  return request;
}

inline Keyring::Find fuzz_key(std::string secret) {
  return [secret](const std::string&, const std::string&) -> Result<Keyring::Known> {
    return Keyring::Known{secret, Identity{Identity::Kind::root, "1", "", ""}};
  };
}

// The moment of the specifications' vectors, so that a corpus made of them passes the date checks.
inline ManualClock fuzz_clock() {
  ManualClock clock;
  clock.set_wall_us(1'795'168'800 * kMicrosPerSecond);
  return clock;
}

// `verify(find)` under two secrets.
template <class Verify>
void never_accepts_two_secrets(Verify verify) {
  const auto first = verify(fuzz_key("SK")), second = verify(fuzz_key("KS"));
  MAYFLY_CHECK(!(first && second && first->kind == Identity::Kind::root && second->kind == Identity::Kind::root));
}

}  // namespace mayfly::auth
