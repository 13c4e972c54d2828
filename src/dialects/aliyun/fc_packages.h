#pragma once
// Packages of code and of layers as FC's requests carry them: base64 in the request, or an object of a bucket, which may be the reserved
// one that clients are given a token for when a package is too large for a request (aliyun-fc.md section 7.1).

#include "dialects/aliyun/fc_call.h"

namespace mayfly::dialects::aliyun {

// Keeps the package that `code` of a request names: {zipFile} or {ossBucketName, ossObjectName}, and {checksum} where it is sent.
io::Task<FcExpected<functions::Code>> take_package(FcCall& call, const json::value& code, functions::PackageLimits limits);

// Where the package can be had. The address names it by its digest, which only who may read the function or layer learns.
std::string package_url(const FcCall& call, const std::string& digest);

// `layers` of a request into `function`; LayerNotFound or LayerVersionNotFound with the name of what is not there (fc_layers.cc).
FcExpected<void> read_layers(const FcCall& call, functions::Function& function);

}  // namespace mayfly::dialects::aliyun
