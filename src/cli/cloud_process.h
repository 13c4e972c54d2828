#pragma once
// Runs a program inside a CloudView: a child with its own /etc/hosts and, unless told otherwise, its own network that holds nothing but
// listening sockets on the loopback, which are handed back here. Needs no root where user namespaces are allowed.

#include <string>
#include <vector>

#include "cli/cloud_view.h"
#include "cli/failure.h"
#include "sys/fd.h"

namespace mayfly::cli {

enum class Network { own, shared };

class CloudProcess {
 public:
  // Forks, enters the view, listens on `ports` of view.address, and waits for go(). Call while this process has one thread.
  static Result<CloudProcess> start(const CloudView& view, Network network, const std::vector<uint16_t>& ports);

  std::vector<sys::Fd> take_listeners() { return std::move(listeners_); }  // in the order of `ports`
  // Runs `command` in the child.
  Result<void> go(const std::vector<std::string>& command);
  int wait();  // its exit code; 128 + signal if one ended it

 private:
  pid_t child_ = -1;
  sys::Fd control_;
  std::vector<sys::Fd> listeners_;
};

}  // namespace mayfly::cli
