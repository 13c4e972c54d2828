#pragma once
// Files by the call. Every failure is a Fault that names the path. For start-up, command line and sandbox code; the store's own
// disk access goes through store::Disk, which a simulation can replace.

#include <optional>
#include <string>
#include <string_view>

#include "sys/fd.h"

namespace mayfly::sys {

Fd open_file(const std::string& path, int flags, unsigned mode = 0644);
std::string read_file(const std::string& path);                             // whole file
std::optional<std::string> read_file_if_exists(const std::string& path);
void write_file(const std::string& path, std::string_view data, unsigned mode = 0644);  // create or truncate; not durable
void write_file_durable(const std::string& path, std::string_view data, unsigned mode = 0600);  // temporary, fsync, rename, fsync of the folder
void write_all(int fd, std::string_view data, const std::string& subject);
void make_folders(const std::string& path, unsigned mode = 0755);
void make_folders_durable(const std::string& path, unsigned mode = 0755);  // each new one is in its parent before it returns
bool is_executable(const std::string& path);  // by somebody
bool exists(const std::string& path);
void remove_tree(const std::string& path);  // never follows a link out of `path`; absent is fine
std::string self_path();                    // of the running binary

}  // namespace mayfly::sys
