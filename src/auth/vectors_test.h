#pragma once
// What the signature tests share: the key of the specifications' vectors, the moment they were made, and a way to write a request.

#include <gtest/gtest.h>

#include "auth/keyring.h"
#include "base/clock.h"
#include "http/message.h"

namespace mayfly::auth {

constexpr int64_t kVectorTime = 1'795'168'800 * kMicrosPerSecond;  // Fri, 20 Nov 2026 10:00:00 GMT

inline ManualClock clock_at(int64_t wall_us) {
  ManualClock clock;
  clock.set_wall_us(wall_us);
  return clock;
}

// Knows one secret, whatever the id and token: vectors carry tokens ("TOK") that no keyring of ours issued.
inline Keyring::Find knows(std::string secret) {
  return [secret](const std::string&, const std::string&) -> Result<Keyring::Known> {
    return Keyring::Known{secret, Identity{Identity::Kind::root, "1234", "", ""}};
  };
}

using Fields = std::vector<std::pair<std::string, std::string>>;

inline http::Request make_request(std::string method, std::string target, const Fields& headers, std::string host = "127.0.0.1:9000") {
  http::Request request;
  request.method = std::move(method);
  const size_t mark = target.find('?');
  request.raw_path = target.substr(0, mark);
  if (mark != std::string::npos) request.raw_query = target.substr(mark + 1);
  request.host = host;
  request.headers.add("Host", host);
  for (const auto& [name, value] : headers) request.headers.add(name, value);
  request.body = http::make_body("");
  return request;
}

}  // namespace mayfly::auth
