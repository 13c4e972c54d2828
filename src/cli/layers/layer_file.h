#pragma once
// LayerFile: a layer's zip on this machine, written with zip.h, so the same content always has the same digest.

#include "cli/deploy/zip.h"

namespace mayfly::cli {

constexpr size_t kMaxLayerFiles = 1'000'000;        // what the server takes
constexpr uint64_t kMaxLayerBytes = 20ull << 30;    // before compression, likewise

struct LayerFile {
  std::string path;
  std::string checksum;  // CRC-64/XZ, decimal: the FC API's codeChecksum
  std::string digest;    // SHA-256, hex: what the server files it under
  uint64_t bytes = 0;
};

// Packs everything below `folder` into `path`, which appears only once it is complete and on the disk; others may pack into it meanwhile.
Result<LayerFile> pack_layer(const std::string& folder, const std::string& path);
Result<LayerFile> read_layer(const std::string& path);  // of a zip that is there

}  // namespace mayfly::cli
