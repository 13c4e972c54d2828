#pragma once
// Faults planted on purpose: negative controls of a simulation (reliability.md R8.2). Each breaks one promise the way a plausible bug
// would; a simulation that does not notice within a few hundred seeds is too weak to be trusted. They are decorators: production code
// has no switch for them.

#include <memory>

#include "store/blobs.h"
#include "store/sim_power.h"
#include "store/store.h"

namespace mayfly::store {

struct SimFaults {
  bool skip_blob_sync = false;             // a file's sync does nothing
  bool skip_folder_sync = false;           // a folder's sync does nothing
  bool ignore_sync_failure = false;        // a failed sync counts as done
  bool ignore_checksums = false;           // bodies are served unchecked
  bool acknowledge_before_commit = false;  // the output gate stands open
  bool ignore_expectations = false;        // compare-and-set and fences always hold
};

// The disk as one process sees it, with the disk's faults planted. A failed sync ends the process, which here is a power cut: that is
// what abort() does in production, without ending the test.
std::unique_ptr<Disk> make_process_disk(Disk& disk, SimPower& power, SimFaults faults);
// Serves bodies of `disk` without looking at a checksum; all else goes to `blobs`.
std::unique_ptr<Blobs> make_unchecked_blobs(Blobs& blobs, Disk& disk);
// The store as one process sees it: each call takes up to kMaxStoreUs of simulated time, so that callers overtake each other, and the
// store's faults are planted. Must not be destroyed within kMaxStoreUs of its last call.
constexpr int64_t kMaxStoreUs = 4;
std::unique_ptr<Store> make_process_store(Store& store, io::Loop& loop, Rng& rng, SimFaults faults);

}  // namespace mayfly::store
