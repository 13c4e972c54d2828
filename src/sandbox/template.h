#pragma once
// Template: the root file system that all sandboxes of a nursery share, in a mount namespace of its own, see steps.h. Its /proc is that of
// a pid namespace in which nothing runs: the kernel lets a sandbox mount its own only where one can be seen already.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sandbox/plan.h"
#include "sandbox/steps.h"
#include "sys/fd.h"

namespace mayfly::sandbox {

class Template {
 public:
  // Of a process that sees the host's file system.
  explicit Template(const std::vector<Bind>& binds);

  void prepare(const std::vector<Tree>& trees, const std::map<std::string, std::string>& files);  // makes what they will lie over
  // While it lives, the calling process sees the template, and so do those it forks then.
  class Visit {
   public:
    explicit Visit(const Template& visited);
    Visit(const Visit&) = delete;
    ~Visit();

   private:
    const Template& visited_;
  };

 private:
  sys::Fd host_, own_;  // mount namespaces
  sys::Fd root_;        // its file system, for writing
  std::set<std::string> linked_;  // files that have their links; at most kMostLinked are remembered
};

}  // namespace mayfly::sandbox
