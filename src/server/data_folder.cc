#include "server/data_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

#include "base/encoding.h"
#include "sys/fault.h"
#include "sys/file.h"

namespace mayfly::server {

DataFolder::DataFolder(std::string path) : path_(std::move(path)) {
  sys::make_folders_durable(path_, 0700);
  std::string file = sub("lock");
  lock_ = sys::open_file(file, O_RDWR | O_CREAT, 0600);
  struct flock whole{};  // an open-file-description lock: held until the descriptor is closed, by whatever end
  whole.l_type = F_WRLCK;
  if (::fcntl(lock_.get(), F_OFD_SETLK, &whole) < 0) {
    if (errno != EAGAIN && errno != EACCES) throw sys::Fault("lock", file, errno);
    throw std::runtime_error(
        fmt::format("the data folder {} is used by another Mayfly (pid {}); stop it or choose another folder with --data-dir", path_, trim(sys::read_file(file))));
  }
  sys::check(::ftruncate(lock_.get(), 0), "ftruncate", file);
  sys::write_all(lock_.get(), std::to_string(::getpid()) + "\n", file);
}

DataFolder::~DataFolder() = default;

std::string DataFolder::make_sub(const std::string& name) const {
  sys::make_folders_durable(sub(name), 0700);
  return sub(name);
}

void DataFolder::announce(const std::string& server_json) const { sys::write_file_durable(sub("server.json"), server_json); }
void DataFolder::withdraw() const { ::unlink(sub("server.json").c_str()); }

}  // namespace mayfly::server
