// The SDK's frames are the server's: this file compiles only while the two agree.
#include <cstddef>

#include "frame_link.h"
#include "runtime/frame.h"

namespace mayfly {
namespace {

namespace sdk = detail;

template <class Left, class Right>
constexpr bool same(Left left, Right right) {
  return static_cast<uint64_t>(left) == static_cast<uint64_t>(right);
}

#define MAYFLY_SAME_FIELD(field)                                                                             \
  static_assert(offsetof(sdk::FrameHeader, field) == offsetof(runtime::FrameHeader, field) &&                \
                sizeof(sdk::FrameHeader::field) == sizeof(runtime::FrameHeader::field))
MAYFLY_SAME_FIELD(payload_size);
MAYFLY_SAME_FIELD(meta_size);
MAYFLY_SAME_FIELD(kind);
MAYFLY_SAME_FIELD(status);
MAYFLY_SAME_FIELD(retries);
MAYFLY_SAME_FIELD(call);
MAYFLY_SAME_FIELD(duration_us);
static_assert(sizeof(sdk::FrameHeader) == sizeof(runtime::FrameHeader));

static_assert(same(sdk::FrameKind::start, runtime::FrameKind::start) && same(sdk::FrameKind::ready, runtime::FrameKind::ready));
static_assert(same(sdk::FrameKind::call, runtime::FrameKind::call) && same(sdk::FrameKind::reply, runtime::FrameKind::reply));
static_assert(same(sdk::FrameKind::failed, runtime::FrameKind::failed) && same(sdk::FrameKind::head, runtime::FrameKind::head));
static_assert(same(sdk::FrameKind::chunk, runtime::FrameKind::chunk) && same(sdk::FrameKind::hook, runtime::FrameKind::hook));
static_assert(same(sdk::FrameKind::imported, runtime::FrameKind::imported));
static_assert(same(sdk::FrameStatus::ok, runtime::FrameStatus::ok) && same(sdk::FrameStatus::handled_error, runtime::FrameStatus::handled_error));
static_assert(sdk::kInMemfd == runtime::kInMemfd && sdk::kMemfdBytes == runtime::kMemfdBytes);
static_assert(sdk::kMaxMetaBytes == runtime::kMaxMetaBytes && sdk::kMaxPayloadBytes == runtime::kMaxPayloadBytes);

}  // namespace
}  // namespace mayfly
