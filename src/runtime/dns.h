#pragma once
// The name server of a sandbox: answers on the UDP socket made inside it. Names of the vendor lead to 127.0.0.1, where the door listens;
// every other name does not exist. /etc/hosts cannot do this for names with a bucket in front (photos.oss-cn-hangzhou.aliyuncs.com).

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/shard.h"
#include "sys/fd.h"

namespace mayfly::runtime {

using HostAddresses = std::map<std::string, std::string>;  // a name in lower case -> its IPv4 address inside

// The answer to one query (RFC 1035), or nullopt if it is no well-formed query with one question. `granted`: names beyond the vendor's.
std::optional<std::string> answer_name(std::string_view query, const HostAddresses& granted = {});

constexpr size_t kMaxQueryBytes = 512;  // RFC 1035 section 2.3.4

// One sandbox's name server; shared by its owner and its task, which ends soon after close().
struct NameServer {
  sys::Fd socket;
  HostAddresses granted{};  // set before it is served
  bool closed = false;
  void close();
};
io::Task<void> serve_names(io::Shard& shard, std::shared_ptr<const NameServer> server);

}  // namespace mayfly::runtime
