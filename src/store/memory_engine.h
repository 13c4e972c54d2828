#pragma once
// An engine in a sorted map: the reference that the others are held to, and the engine of tests. Nothing survives its destruction.

#include <memory>

#include "store/engine.h"

namespace mayfly::store {

std::unique_ptr<Engine> make_memory_engine();

}  // namespace mayfly::store
