#pragma once
// What `mayfly up` can be told. Defaults are for one person's machine: loopback only, sandbox on.

#include <cstdint>
#include <string>

namespace mayfly::server {

struct ServerOptions {
  std::string data_folder;
  std::string host = "127.0.0.1";
  uint16_t port = 9000;      // 0: any free one
  uint16_t tls_port = 9443;  // 0: any free one
  unsigned shards = 0;       // 0: one per core
  std::string region = "cn-hangzhou";  // what vendor SDKs assume when nobody says; part of host names and ARNs
  std::string runtimes_folder;   // python/zygote.py and friends; empty: beside the binary or in the source tree
  std::string libraries_folder;  // Python libraries every function may import; may be absent
  unsigned max_instances = 0;    // of one function; 0: the dispatcher's default
  int64_t keep_alive_s = 60;     // an idle instance lives this long
  bool unsafe_no_sandbox = false;
};

}  // namespace mayfly::server
