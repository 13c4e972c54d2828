#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "events/schedule.h"

// Whatever the expression, parsing ends, and a schedule that parsed ticks later than now.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kNowUs = 1'795'168'800'000'000;
  auto schedule = mayfly::events::Schedule::parse({reinterpret_cast<const char*>(data), size});
  if (!schedule) return 0;
  if (auto tick = schedule->next(kNowUs, kNowUs)) MAYFLY_CHECK_OP(*tick, >, kNowUs);
  return 0;
}
