#pragma once
// What the objects room does once at start, before serving: recover() reopens the gates of buckets whose deletion a crash cut short and
// drops parts whose upload has ended; named_blobs() then says which blobs are not garbage, for Blobs::sweep (reliability.md R3.1).

#include <set>
#include <string>

#include "objects/objects.h"

namespace mayfly::objects {

io::Task<void> recover(Ground ground, io::Loop& loop);

// Every blob id that a row of this room names; for sweeping when other rooms keep blobs in the same place.
io::Task<std::set<std::string>> named_blobs(Ground ground, io::Loop& loop);

}  // namespace mayfly::objects
