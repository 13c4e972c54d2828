#include "trace.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <typeinfo>

namespace mayfly::detail {
namespace {

constexpr size_t kFrames = 48;
constexpr size_t kThrows = 4;  // an exception on its way may meet destructors that throw and catch others

struct Throw {
  const void* thrown = nullptr;
  size_t count = 0;
  std::array<uintptr_t, kFrames> addresses;
};

struct Throws {
  bool watching = false;
  size_t next = 0;
  std::array<Throw, kThrows> last;
};

thread_local Throws throws;

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* into) {
  auto* noted = static_cast<Throw*>(into);
  int before = 0;
  uintptr_t address = _Unwind_GetIPInfo(context, &before);
  if (noted->count == kFrames) return _URC_END_OF_STACK;
  noted->addresses[noted->count++] = address - (before ? 0 : 1);  // the call, not what follows it
  return _URC_NO_REASON;
}

// A file mapped for reading.
class Mapped {
 public:
  explicit Mapped(const char* path) {
    int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    struct stat about{};
    if (::fstat(fd, &about) == 0 && about.st_size > 0) {
      void* at = ::mmap(nullptr, static_cast<size_t>(about.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (at != MAP_FAILED) bytes_ = {static_cast<const char*>(at), static_cast<size_t>(about.st_size)};
    }
    ::close(fd);
  }
  Mapped(const Mapped&) = delete;
  ~Mapped() {
    if (!bytes_.empty()) ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }

  // `count` things of type T at `offset`; null when the file is too short.
  template <class T>
  const T* at(uint64_t offset, uint64_t count = 1) const {
    if (offset > bytes_.size() || count > (bytes_.size() - offset) / sizeof(T)) return nullptr;
    return reinterpret_cast<const T*>(bytes_.data() + offset);
  }
  // Text that begins at `offset` and ends with a zero.
  const char* text(uint64_t offset) const {
    return offset < bytes_.size() && std::memchr(bytes_.data() + offset, 0, bytes_.size() - offset) ? bytes_.data() + offset : nullptr;
  }

 private:
  std::string_view bytes_;
};

using Header = ElfW(Ehdr);
using Section = ElfW(Shdr);
using Symbol = ElfW(Sym);

// The mangled name of the function at `address` (as the file counts) in a symbol table of the given type; null if there is none.
const char* name_in(const Mapped& file, uint32_t type, uintptr_t address) {
  auto* header = file.at<Header>(0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return nullptr;
  auto* sections = file.at<Section>(header->e_shoff, header->e_shnum);
  if (!sections) return nullptr;
  for (int i = 0; i < header->e_shnum; ++i) {
    const Section& table = sections[i];
    if (table.sh_type != type || table.sh_link >= header->e_shnum) continue;
    size_t count = table.sh_size / sizeof(Symbol);
    auto* symbols = file.at<Symbol>(table.sh_offset, count);
    for (size_t s = 0; symbols && s < count; ++s) {
      const Symbol& symbol = symbols[s];
      bool here = (symbol.st_info & 0xf) == STT_FUNC && address >= symbol.st_value && address < symbol.st_value + symbol.st_size;
      if (here) return file.text(sections[table.sh_link].sh_offset + symbol.st_name);
    }
  }
  return nullptr;
}

struct Place {
  uintptr_t address = 0;   // in: in memory
  std::string path;        // out: of the program or library; empty if none is there
  uintptr_t relative = 0;  // out: as its file counts
};

int find_place(dl_phdr_info* object, size_t, void* into) {
  auto* place = static_cast<Place*>(into);
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    uintptr_t begin = object->dlpi_addr + part.p_vaddr;
    if (part.p_type != PT_LOAD || place->address < begin || place->address >= begin + part.p_memsz) continue;
    place->path = object->dlpi_name && *object->dlpi_name ? object->dlpi_name : "/proc/self/exe";
    place->relative = place->address - object->dlpi_addr;
    return 1;
  }
  return 0;
}

std::string base_name(const std::string& path) {
  if (path != "/proc/self/exe") return path.substr(path.rfind('/') + 1);
  std::array<char, 4096> target;
  ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  std::string_view name(target.data(), length < 0 ? 0 : static_cast<size_t>(length));
  return std::string(name.substr(name.rfind('/') + 1));
}

std::string hexadecimal(uintptr_t value) {
  std::string digits;
  do digits += "0123456789abcdef"[value & 15];
  while (value >>= 4);
  return "0x" + std::string(digits.rbegin(), digits.rend());
}

struct Named {
  std::string function, place;
};

Named named(uintptr_t address) {
  Place place{.address = address};
  ::dl_iterate_phdr(find_place, &place);
  if (place.path.empty()) return {"?", hexadecimal(address)};
  Mapped file(place.path.c_str());
  const char* name = name_in(file, SHT_SYMTAB, place.relative);
  if (!name) name = name_in(file, SHT_DYNSYM, place.relative);
  return {name ? demangled(name) : "?", base_name(place.path) + "+" + hexadecimal(place.relative)};
}

// What calls handlers: the SDK, and main beyond it.
bool is_outside(std::string_view function) {
  for (std::string_view begin : {"mayfly::detail::Caller::", "mayfly::detail::Instance::", "mayfly::detail::Crew::", "mayfly::detail::run_locally", "mayfly::serve"})
    if (function.starts_with(begin)) return true;
  return false;
}

// How a handler is called, which says nothing of the function itself.
bool is_plumbing(std::string_view function) {
  for (std::string_view part : {"std::_Function_handler<", "std::__invoke", "mayfly::detail::answer<"})
    if (function.find(part) != function.npos) return true;
  return function.starts_with("mayfly::function<") || function.starts_with("mayfly::http<") || function.starts_with("std::function<");
}

}  // namespace

void watch_throws() {
  throws.watching = true;
  for (Throw& each : throws.last) each.thrown = nullptr, each.count = 0;
}

std::vector<std::string> stack_of(const void* thrown) {
  const Throw* found = &throws.last[(throws.next + kThrows - 1) % kThrows];
  if (thrown) {
    auto same = std::find_if(throws.last.begin(), throws.last.end(), [&](const Throw& each) { return each.thrown == thrown; });
    if (same == throws.last.end()) return {};
    found = &*same;
  }
  std::vector<std::string> own, every;
  for (size_t i = 1; i < found->count; ++i) {  // 0 is __wrap___cxa_throw
    Named frame = named(found->addresses[i]);
    if (is_outside(frame.function)) break;
    every.push_back(frame.function + " (" + frame.place + ")");
    if (!is_plumbing(frame.function)) own.push_back(every.back());
  }
  return own.empty() ? every : own;
}

std::string demangled(const char* name) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : name;
}

}  // namespace mayfly::detail

extern "C" {

[[noreturn]] void __real___cxa_throw(void* thrown, std::type_info* type, void (*destroy)(void*)) __attribute__((weak));
[[noreturn]] void __wrap___cxa_throw(void* thrown, std::type_info* type, void (*destroy)(void*));

void __wrap___cxa_throw(void* thrown, std::type_info* type, void (*destroy)(void*)) {
  auto& throws = mayfly::detail::throws;
  if (throws.watching) {
    auto& noted = throws.last[throws.next++ % mayfly::detail::kThrows];
    noted.thrown = thrown;
    noted.count = 0;
    _Unwind_Backtrace(mayfly::detail::note_frame, &noted);
  }
  __real___cxa_throw(thrown, type, destroy);
}
}
