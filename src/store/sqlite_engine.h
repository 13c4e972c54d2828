#pragma once
// The embedded engine: one SQLite file, one table kv(key, value), one connection (reliability.md R2.1-R2.5).
//
// Durable means: journal_mode=WAL with synchronous=FULL, so the log is fdatasynced before apply() returns. The log is copied into the
// file between batches once it exceeds kCheckpointWalBytes, and when the engine is closed; both on this one connection, which is what
// keeps SQLite's WAL-reset race (3.7.0-3.51.2, needs two connections) out of reach. The connection takes the file exclusively: a
// second one, in this process or another, is refused at once by a sys::Fault that says so.
//
// Single-threaded like every engine. Faults are sys::Fault with SQLite's own words; after one from apply() the process must end.

#include <memory>
#include <string>

#include "store/engine.h"

namespace mayfly::store {

constexpr int64_t kCheckpointWalBytes = 64 << 20;  // bounds the disk the log takes, and recovery: reading it back takes about 0.1 s

// Creates the file if it is absent; its folder must exist. `vfs` names a registered SQLite file layer to use instead of the system's
// (sim_vfs.h), on which `path` is a name and no folder is synced.
std::unique_ptr<Engine> open_sqlite_engine(std::string path, std::string vfs = {});

}  // namespace mayfly::store
