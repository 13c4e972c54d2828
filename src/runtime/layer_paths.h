#pragma once
// Where interpreters and the linker look inside the layers. The vendors give each language a folder of /opt: FC and Lambda /opt/python,
// /opt/nodejs/node_modules, /opt/java/lib, /opt/lib and /opt/bin; SCF also /opt itself, beside the code (tencent-scf.md T1.3). Only folders
// that the layers really have are named, so that a function without native libraries starts as one without layers.

#include "functions/model.h"
#include "runtime/plan.h"

namespace mayfly::runtime {

// Adds PYTHONPATH, NODE_PATH, LD_LIBRARY_PATH, PATH and (Java only: elsewhere it would hide the folder the program stands in) CLASSPATH.
// What the function set for itself stands first in each. Reads the layers' folders on this machine.
void add_layer_paths(const functions::Runnable& runnable, const Places& inside, Contract contract, Environment& environment);

}  // namespace mayfly::runtime
