#include "cli/cloud_view.h"

#include "cli/deploy/yaml.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// The configuration files that the vendor's tools look for in the home folder.
void write_home(const std::string& home, const Settings& settings, const std::string& fc_endpoint) {
  const auth::Credentials& keys = settings.keys.credentials;
  json::object fcli{{"endpoint", fc_endpoint}, {"api_version", "2016-08-15"}, {"access_key_id", keys.access_key_id},
                    {"access_key_secret", keys.access_key_secret}, {"security_token", keys.security_token}, {"debug", false}, {"timeout", 60},
                    {"retries", 3}, {"sls_endpoint", settings.region + ".log.aliyuncs.com"}, {"report", false}, {"enable_custom_endpoint", true}};
  sys::make_folders(home + "/.fcli", 0700);
  sys::write_file(home + "/.fcli/config.yaml", write_yaml(fcli), 0600);
  json::object profile{{"name", "mayfly"}, {"mode", "AK"}, {"access_key_id", keys.access_key_id}, {"access_key_secret", keys.access_key_secret},
                       {"region_id", settings.region}, {"output_format", "json"}, {"language", "en"}};
  sys::make_folders(home + "/.aliyun", 0700);
  sys::write_file(home + "/.aliyun/config.json", to_text(json::object{{"current", "mayfly"}, {"profiles", json::array{profile}}}), 0600);
  sys::write_file(home + "/.ossutilconfig",
                  fmt::format("[Credentials]\nlanguage=EN\nendpoint=oss-{}.aliyuncs.com\naccessKeyID={}\naccessKeySecret={}\n", settings.region,
                              keys.access_key_id, keys.access_key_secret),
                  0600);
}

}  // namespace

std::vector<std::string> vendor_names(const std::string& region, const std::string& account, const std::vector<std::string>& buckets) {
  std::vector<std::string> names{"ram.aliyuncs.com", "sts.aliyuncs.com", "sts." + region + ".aliyuncs.com", "fnf.aliyuncs.com", "oss-accelerate.aliyuncs.com"};
  std::vector<std::string> stores{"oss-accelerate.aliyuncs.com"};
  for (const std::string& place : {region, region + "-internal"}) {
    names.push_back(place + ".fnf.aliyuncs.com");
    names.push_back(account + "." + place + ".fnf.aliyuncs.com");
    names.push_back(account + "." + place + ".fc.aliyuncs.com");
    names.push_back("fc." + place + ".aliyuncs.com");
    names.push_back("fcv3." + place + ".aliyuncs.com");
    names.push_back(account + ".mns." + place + ".aliyuncs.com");
    stores.push_back("oss-" + place + ".aliyuncs.com");
    names.push_back(stores.back());
  }
  for (const std::string& bucket : buckets)
    for (const std::string& store : stores) names.push_back(bucket + "." + store);
  // The server makes this one when a client first asks where to put a large package, which may be while it runs in here.
  std::string reserved = "mayfly-packages-" + account;
  if (std::find(buckets.begin(), buckets.end(), reserved) == buckets.end())
    for (const std::string& store : stores) names.push_back(reserved + "." + store);
  return names;
}

CloudView make_cloud_view(const std::string& folder, const std::string& address, const Settings& settings, const std::string& authority_pem,
                          const std::string& fc_endpoint, const std::vector<std::string>& buckets) {
  CloudView view{.folder = folder, .address = address, .environment = {}};
  std::string hosts = sys::read_file_if_exists("/etc/hosts").value_or("127.0.0.1 localhost\n");
  hosts += "\n# Mayfly answers for these.\n";
  for (const std::string& name : vendor_names(settings.region, settings.keys.account, buckets)) hosts += address + " " + name + "\n";
  sys::write_file(folder + "/hosts", hosts);
  sys::write_file(folder + "/ca.pem", authority_pem);
  sys::write_file(folder + "/bundle.pem", sys::read_file_if_exists(kSystemAuthorities).value_or("") + "\n" + authority_pem);
  write_home(folder + "/home", settings, fc_endpoint);

  const auth::Credentials& keys = settings.keys.credentials;
  std::string bundle = folder + "/bundle.pem";
  view.environment = {
      {"HOME", folder + "/home"}, {"ACCOUNT_ID", settings.keys.account}, {"REGION", settings.region}, {"DEFAULT_REGION", settings.region},
      {"ACCESS_KEY_ID", keys.access_key_id}, {"ACCESS_KEY_SECRET", keys.access_key_secret}, {"FC_ENDPOINT", fc_endpoint},
      {"ENABLE_CUSTOM_ENDPOINT", "true"}, {"ALIBABA_CLOUD_ACCOUNT_ID", settings.keys.account}, {"ALIBABA_CLOUD_REGION", settings.region},
      {"ALIBABA_CLOUD_REGION_ID", settings.region}, {"ALIBABA_CLOUD_ACCESS_KEY_ID", keys.access_key_id},
      {"ALIBABA_CLOUD_ACCESS_KEY_SECRET", keys.access_key_secret}, {"NODE_EXTRA_CA_CERTS", folder + "/ca.pem"}, {"SSL_CERT_FILE", bundle},
      {"REQUESTS_CA_BUNDLE", bundle}, {"CURL_CA_BUNDLE", bundle}, {"ALIBABA_CLOUD_CA_BUNDLE", bundle}};
  if (!keys.security_token.empty())
    for (const char* name : {"SECURITY_TOKEN", "ALIBABA_CLOUD_SECURITY_TOKEN"}) view.environment[name] = keys.security_token;
  return view;
}

}  // namespace mayfly::cli
