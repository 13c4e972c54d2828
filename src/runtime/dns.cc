#include "runtime/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/encoding.h"
#include "sandbox/etc.h"

namespace mayfly::runtime {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr uint16_t kTypeA = 1, kClassIn = 1;
constexpr int kAnswersPerWake = 64;

uint16_t number(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]));
}

// The dotted name at `at`, which moves past it. Compression does not occur in questions.
std::optional<std::string> read_name(std::string_view query, size_t& at) {
  std::string name;
  while (at < query.size()) {
    auto size = static_cast<unsigned char>(query[at++]);
    if (size == 0) return name;
    if (size > 63 || at + size > query.size() || name.size() + size > 254) return std::nullopt;
    if (!name.empty()) name += '.';
    name += query.substr(at, size);
    at += size;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> answer_name(std::string_view query, const HostAddresses& granted) {
  if (query.size() < kHeaderBytes || (static_cast<unsigned char>(query[2]) & 0xf8) != 0 || number(query, 4) != 1) return std::nullopt;
  size_t at = kHeaderBytes;
  auto name = read_name(query, at);
  if (!name || at + 4 > query.size()) return std::nullopt;
  std::string inside = "127.0.0.1";
  auto found = granted.find(lower(*name));
  if (found != granted.end()) inside = found->second;
  bool ours = found != granted.end() || sandbox::is_cloud_host(*name);
  bool address = ours && number(query, at) == kTypeA && number(query, at + 2) == kClassIn;
  at += 4;
  std::string out(query.substr(0, 2));
  out += static_cast<char>(0x84 | (static_cast<unsigned char>(query[2]) & 0x01));  // response, authoritative, recursion as desired
  out += static_cast<char>(ours ? 0x80 : 0x83);                                    // recursion available; NXDOMAIN for the rest of the world
  out += std::string_view("\0\1\0", 3);
  out += static_cast<char>(address ? 1 : 0);
  out += std::string_view("\0\0\0\0", 4);
  out += query.substr(kHeaderBytes, at - kHeaderBytes);
  if (!address) return out;
  out += std::string_view("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);  // a pointer to the question's name, A, IN, 60 s, four bytes
  in_addr bytes{};
  ::inet_pton(AF_INET, inside.c_str(), &bytes);
  out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return out;
}

void NameServer::close() {
  closed = true;
  ::shutdown(socket.get(), SHUT_RDWR);  // wakes whoever waits on it
}

io::Task<void> serve_names(io::Shard& shard, std::shared_ptr<const NameServer> server) {
  while (!server->closed) {
    for (int i = 0; i < kAnswersPerWake; ++i) {
      char query[kMaxQueryBytes];
      sockaddr_in from{};
      socklen_t size = sizeof from;
      ssize_t got = ::recvfrom(server->socket.get(), query, sizeof query, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) break;
      auto answer = answer_name({query, static_cast<size_t>(got)}, server->granted);
      if (answer) ::sendto(server->socket.get(), answer->data(), answer->size(), MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&from), size);
    }
    if (!co_await shard.wait_readable(server->socket.get(), io::Deadline::never())) co_return;
  }
}

}  // namespace mayfly::runtime
