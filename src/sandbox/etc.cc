#include "sandbox/etc.h"

#include <filesystem>

#include "base/encoding.h"

namespace mayfly::sandbox {
namespace {

constexpr std::string_view kVendorDomain = ".aliyuncs.com";

std::string hosts(const Cloud& cloud) {
  const std::string& region = cloud.region;
  std::vector<std::string> names;
  for (std::string inner : {"", "-internal"}) {
    names.push_back(region + inner + ".fnf");
    names.push_back(cloud.account + "." + region + ".fnf" + inner);
    names.push_back(cloud.account + "." + region + inner + ".fc");
    names.push_back("oss-" + region + inner);
    names.push_back(cloud.account + ".mns." + region + inner);
  }
  for (std::string plain : {"oss-accelerate", "sts", "ram", "ros", "mns"}) names.push_back(plain);
  names.push_back("sts." + region);
  names.push_back("fc." + region);
  std::string out = "127.0.0.1 localhost " + cloud.hostname + "\n";
  for (const auto& name : names) out += "127.0.0.1 " + name + std::string(kVendorDomain) + "\n";
  return out;
}

}  // namespace

std::map<std::string, std::string> etc_files(const Cloud& cloud) {
  return {
      {"/etc/hosts", hosts(cloud)},
      {"/etc/hostname", cloud.hostname + "\n"},
      {"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"},
      {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
      {"/etc/passwd", "root:x:0:0:function:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"},
      {"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
  };
}

std::vector<Bind> system_binds() {
  std::vector<Bind> binds{{"/usr", "/usr"}};
  for (const char* folder : {"/bin", "/sbin", "/lib", "/lib32", "/lib64"}) {  // where they are no links into /usr
    std::error_code none;
    if (!std::filesystem::is_symlink(folder, none)) binds.push_back({folder, folder, true});
  }
  for (const char* path : {"/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/mime.types", "/etc/services", "/etc/protocols", "/etc/fonts"}) {
    binds.push_back({path, path, true});
  }
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator("/etc", unreadable)) {  // what Debian's interpreters do not start without
    std::string name = entry.path().filename();
    if (name.starts_with("java-") || name == "php") binds.push_back({"/etc/" + name, "/etc/" + name});
  }
  for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}) binds.push_back({device, device});
  return binds;
}

bool is_cloud_host(std::string_view name) {
  while (name.ends_with('.')) name.remove_suffix(1);
  return lower(name).ends_with(kVendorDomain);
}

}  // namespace mayfly::sandbox
