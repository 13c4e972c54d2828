#pragma once
// Where an exception was thrown. The linker is told to lead __cxa_throw through here (--wrap, a link option of the target mayfly::sdk); the
// return addresses on the stack are noted, and given names only if the exception reaches the platform. Without the option, or for what a
// shared library throws, there is no trace. Names come from the program's symbol table: a stripped program has addresses alone.

#include <string>
#include <vector>

namespace mayfly::detail {

// From here on throws on this thread are noted; forgets earlier ones.
void watch_throws();

// The stack at the throw of `thrown` (the exception object; null: the last one), innermost first: "name (program+0xaddress)".
std::vector<std::string> stack_of(const void* thrown);

std::string demangled(const char* name);

}  // namespace mayfly::detail
