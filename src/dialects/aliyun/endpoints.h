#pragma once
// Which of Alibaba's products a request is for, from its head alone: pure functions that the server's wiring turns into the router's
// claims (gateway/router.h). The vendors' host names decide when they are used (clients-aliyun.md section 5); on the plain control port,
// reached under any host name, the path, the parameters and the content type do.

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace mayfly::dialects::aliyun {

enum class Product {
  fc,       // REST under /2016-08-15, /2021-04-06, /2023-03-30
  rpc,      // FnF, STS, RAM: everything at "/", told apart by RpcFront
  oss,      // whatever is left
};
Product product_of(const http::Request& request);

bool is_fc_path(std::string_view raw_path);
bool is_rpc(const http::Request& request);

// The product a vendor's host name belongs to: "fnf", "fc", "oss", "sts", "ram", "mns", "log"; "" for any other host. The host may carry a port.
std::string_view vendor_host(std::string_view host);
// The bucket in "{bucket}.oss-{region}.aliyuncs.com[:port]"; nullopt if the host is no OSS host, "" if it names no bucket.
std::optional<std::string> oss_host_bucket(std::string_view host);

std::string_view without_port(std::string_view host);

}  // namespace mayfly::dialects::aliyun
