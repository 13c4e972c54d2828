#pragma once
// Whether a function that was never called could be: its runtime is on this machine, and its package has the file that its handler names.
// Only names are looked at, nothing is loaded, so a function that passes may still fail to start. Blocking, but only a few stat calls.

#include <string>

#include "functions/model.h"

namespace mayfly::server {

// Why not, in a sentence; empty if nothing is missing, or if names cannot tell: classes of Java and .NET, containers, files from layers.
std::string why_it_cannot_start(const functions::Runnable& runnable);

}  // namespace mayfly::server
