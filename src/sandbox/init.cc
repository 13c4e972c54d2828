#include "sandbox/init.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/nursery_process.h"
#include "sys/fault.h"
#include "sys/file.h"

#ifdef MAYFLY_NURSERY_IMAGE
extern "C" const char mayfly_nursery_image[], mayfly_nursery_image_end[];
#endif

namespace mayfly::sandbox {
namespace {

// Returns where a machine lets no program run that is not in a file (vm.memfd_noexec), or a sanitizer is linked: this binary then serves.
void become_image() {
#ifdef MAYFLY_NURSERY_IMAGE
  constexpr unsigned kExecutable = 0x10;  // MFD_EXEC
  sys::Fd file(::memfd_create("mayfly-nursery", MFD_CLOEXEC | kExecutable));
  if (!file) file.reset(::memfd_create("mayfly-nursery", MFD_CLOEXEC));  // the flag is of Linux 6.3
  if (!file) return;
  sys::write_all(file.get(), {mayfly_nursery_image, mayfly_nursery_image_end}, "the nursery");
  char name[] = "mayfly-nursery";
  char* arguments[] = {name, nullptr};
  char* environment[] = {nullptr};
  ::fexecve(file.get(), arguments, environment);
#endif
}

}  // namespace

int init_main(int, char**) {
  try {
    become_image();
  } catch (const sys::Fault&) {  // no memory for the copy
  }
  return serve_nursery();
}

}  // namespace mayfly::sandbox
