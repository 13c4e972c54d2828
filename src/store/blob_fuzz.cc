// Any bytes as a blob's file: a reader says corrupt or serves what the checksums cover, and touches nothing outside the file. Input
// that begins with 'v' is given a valid header and footer, so that the blocks are reached.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "io/sim_loop.h"
#include "store/blob_format.h"
#include "store/blobs.h"
#include "store/sim_disk.h"

namespace {

using namespace mayfly;
using namespace mayfly::store;

io::Task<void> read_all(Blobs& blobs, io::Loop& loop, std::string id) {
  auto reader = co_await blobs.open(loop, id);
  if (!reader) co_return;
  for (uint64_t offset : {uint64_t{0}, (*reader)->size() / 2, (*reader)->size()}) {
    auto part = co_await (*reader)->read(offset, 100'000);
    if (part) MAYFLY_CHECK_OP(part->size(), <=, (*reader)->size() - offset);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string id(32, 'a');
  std::string file(reinterpret_cast<const char*>(data), size);
  if (file.starts_with('v')) {
    std::string blocks = file.substr(1);
    uint64_t body_bytes = blocks.size() - std::min<size_t>(blocks.size(), blob_format::kCrcBytes);
    file = blob_format::header() + blocks + blob_format::footer(id, body_bytes);
  }
  SimPower power(1);
  SimDisk disk(power);
  SeededRng rng(1);
  io::SimLoop loop;
  auto blobs = make_inline_blobs(disk, rng);
  disk.make_folder("blobs/aa");
  disk.create("blobs/aa/" + id)->append(file);
  loop.wait(read_all(*blobs, loop, id));
  return 0;
}
