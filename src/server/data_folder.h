#pragma once
// The data folder of one server: who holds it, and what it tells the command line.
//   lock          locked while a server runs on the folder; holds its pid
//   server.json   where the running server answers: {"endpoint","tls_endpoint","pid","version","account","region"}; removed at a clean stop
//   keys.json     the account's keys (auth/keyring.h)
//   store/ blobs/ code/ logs/ ca/   the rooms' own

#include <string>

#include "sys/fd.h"

namespace mayfly::server {

class DataFolder {
 public:
  // Makes the folder (0700) and takes its lock; throws std::runtime_error naming the server that holds it.
  explicit DataFolder(std::string path);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string sub(const std::string& name) const { return path_ + "/" + name; }
  std::string make_sub(const std::string& name) const;  // creates it
  void announce(const std::string& server_json) const;
  void withdraw() const;

 private:
  std::string path_;
  sys::Fd lock_;
};

}  // namespace mayfly::server
