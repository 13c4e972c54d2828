#pragma once
// The world as a vendor's command-line tool should see it (DESIGN 4.10): the vendor's host names on a loopback address, an authority
// that vouches for them, and the tool's usual configuration with Mayfly's keys. Made of files in a temporary folder and of environment
// variables; entering it (cloud_process.h) changes nothing outside the tool's own process.

#include <map>
#include <string>
#include <vector>

#include "cli/context.h"

namespace mayfly::cli {

struct CloudView {
  std::string folder;                              // temporary; holds hosts, ca.pem, bundle.pem, home/
  std::string address;                             // the vendor's names lead there
  std::map<std::string, std::string> environment;  // set for the tool
};

// Every name that leads to Mayfly: the products' in the region, and each bucket in front of the object store's.
std::vector<std::string> vendor_names(const std::string& region, const std::string& account, const std::vector<std::string>& buckets);

// Writes the files below `folder`, which exists. `authority_pem` vouches for the server's certificate; `fc_endpoint` is where the tool
// finds the functions API over plain http.
CloudView make_cloud_view(const std::string& folder, const std::string& address, const Settings& settings, const std::string& authority_pem,
                          const std::string& fc_endpoint, const std::vector<std::string>& buckets);

}  // namespace mayfly::cli
