#pragma once
// A body compressed while it is sent (aliyun-oss.md section 3, Accept-Encoding). Its size is unknown until its end.

#include <memory>

#include "http/message.h"

namespace mayfly::dialects::aliyun {

std::unique_ptr<http::Body> gzip_body(std::unique_ptr<http::Body> plain);

// True if the service would compress an object of this type and size for a client that accepts gzip.
bool is_compressible(std::string_view content_type, uint64_t size);

}  // namespace mayfly::dialects::aliyun
