#include "server/net_names.h"

namespace mayfly::server {

std::vector<std::string> certificate_names(const std::string& region, const std::string& account) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  // A wildcard stands for one label only, so {account}.{region}.fnf needs a name of its own.
  for (const std::string& product : {"fnf", "fc", "mns", "log", "sts"}) {
    for (const std::string& place : {region, region + "-internal"}) {
      names.push_back(place + "." + product + ".aliyuncs.com");
      names.push_back("*." + place + "." + product + ".aliyuncs.com");
      names.push_back(account + "." + place + "." + product + ".aliyuncs.com");
    }
  }
  names.insert(names.end(), {"*.aliyuncs.com", "sts." + region + ".aliyuncs.com", "oss-" + region + ".aliyuncs.com", "*.oss-" + region + ".aliyuncs.com",
                             "*.oss-" + region + "-internal.aliyuncs.com", "*.oss-accelerate.aliyuncs.com"});
  return names;
}

}  // namespace mayfly::server
