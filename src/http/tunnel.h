#pragma once
// A tunnel: after an answer of 101 a connection is no longer HTTP but bytes both ways (WebSocket and its like). join_streams() carries
// them between two streams of one loop until both have ended, or one has broken, or nothing has passed in either direction for `idle_us`;
// then both are closed. When one side ends its sending, the other may go on for `last_word_us` without a byte: by default long enough for
// a closing handshake.

#include <memory>
#include <string>

#include "io/stream.h"

namespace mayfly::http {

constexpr int64_t kTunnelLastWordUs = 10 * kMicrosPerSecond;
constexpr size_t kTunnelPieceBytes = 16 * 1024;  // per direction, and so the memory of a tunnel

// `first` has come from `a` already. The streams outlive the task.
io::Task<void> join_streams(io::Loop& loop, io::Stream& a, std::string first, io::Stream& b, int64_t idle_us, int64_t last_word_us = kTunnelLastWordUs);

// `stream`, of which `first` has been read already.
std::unique_ptr<io::Stream> unread(std::string first, std::unique_ptr<io::Stream> stream);

}  // namespace mayfly::http
