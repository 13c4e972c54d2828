#include "server/net_names.h"

namespace mayfly::server {

std::vector<std::string> certificate_names(const std::string& region) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1", "*.aliyuncs.com"};
  // A wildcard stands for one label only: {region}.fnf and {account}.{region}.fnf need one each.
  for (const std::string product : {"fnf", "fc", "mns", "log", "sts", "ots"}) {
    names.push_back("*." + product + ".aliyuncs.com");
    for (const std::string& place : {region, region + "-internal"}) names.push_back("*." + place + "." + product + ".aliyuncs.com");
  }
  for (const std::string& place : {region, region + "-internal", std::string("accelerate")}) names.push_back("*.oss-" + place + ".aliyuncs.com");
  return names;
}

}  // namespace mayfly::server
