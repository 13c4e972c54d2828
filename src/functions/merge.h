#pragma once
// Laying unpacked layers over each other: one new folder tree whose files are hard links to those of the layers, so that no byte is there
// twice. A later layer covers an earlier one path by path; where one has a folder and the other something else, the later one's stands,
// as in an overlay. Nothing is ever written through a link: before anything is made below a name, that name is a folder of the new tree.
// What was a harmless link in its own layer may lead out once another layer stands around it: every link is looked at again at the end.
// Blocking; the code store calls it on its worker thread. A failure of the disk throws sys::Fault.

#include <string>
#include <vector>

#include "functions/model.h"

namespace mayfly::functions {

// `target` must exist and be empty; after a failure it may hold a part, which the caller removes. The folders are of unpack_package().
Result<void> merge_layers(const std::vector<std::string>& folders, const std::string& target);

}  // namespace mayfly::functions
