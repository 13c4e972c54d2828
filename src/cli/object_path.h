#pragma once
// Names of objects on the command line: "mayfly://bucket/key", "oss://bucket/key"; anything else is a path on this machine.

#include "cli/failure.h"

namespace mayfly::cli {

struct ObjectPath {
  bool remote = false;
  std::string bucket, key;  // remote
  std::string path;         // local
};

Result<ObjectPath> parse_object_path(const std::string& text);
// One that must be remote; with a bucket, and with a key if `needs_key`.
enum class Needs { bucket, key };
Result<ObjectPath> parse_remote_path(const std::string& text, Needs needs);

// The media type that a file's name suggests: "image/jpeg"; application/octet-stream if none.
std::string media_type(std::string_view name);

}  // namespace mayfly::cli
