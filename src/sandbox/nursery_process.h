#pragma once
// The nursery's side of protocol.h.

namespace mayfly::sandbox {

// Serves the server on descriptor 3 until that is closed; an exit status.
int serve_nursery();

}  // namespace mayfly::sandbox
