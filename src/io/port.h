#pragma once
// The shards of a server share a port by SO_REUSEPORT, which would also let a second server of the same user in: the kernel then gives
// each a part of the connections, and clients meet now one, now the other. So before the first shard listens the port is asked for alone.

#include <cstdint>
#include <string>

namespace mayfly::io {

// Throws sys::Fault ("bind 127.0.0.1:9000: Address already in use") if anybody listens there. Port 0, any free one, always passes.
void check_port_free(const std::string& host, uint16_t port);

}  // namespace mayfly::io
