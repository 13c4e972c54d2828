#pragma once
// Time enters the core only through Clock, so that a simulation or a test can own it (DESIGN 4.12).

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace mayfly {

constexpr int64_t kMicrosPerMilli = 1'000;
constexpr int64_t kMicrosPerSecond = 1'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t wall_us() const = 0;  // microseconds since 1970-01-01T00:00:00Z; may jump
  virtual int64_t mono_us() const = 0;  // microseconds since an arbitrary start; never goes back
};

// The machine's clocks.
class SystemClock final : public Clock {
 public:
  int64_t wall_us() const override;
  int64_t mono_us() const override;
};

// A clock a test moves by hand. Both times advance together; starts at 2026-01-01T00:00:00Z.
class ManualClock final : public Clock {
 public:
  int64_t wall_us() const override { return wall_us_; }
  int64_t mono_us() const override { return mono_us_; }
  void advance_us(int64_t us) { wall_us_ += us; mono_us_ += us; }
  void set_wall_us(int64_t us) { wall_us_ = us; }

 private:
  int64_t wall_us_ = 1'767'225'600 * kMicrosPerSecond;
  int64_t mono_us_ = kMicrosPerSecond;
};

// "2026-11-20T10:00:00.123Z" / "2026-11-20T10:00:00Z" (UTC).
std::string iso8601_ms(int64_t wall_us);
std::string iso8601_s(int64_t wall_us);
// "Fri, 20 Nov 2026 10:00:00 GMT" (RFC 9110 IMF-fixdate).
std::string http_date(int64_t wall_us);
// "20261120T100000Z", the compact form of the V4 signatures.
std::string compact_date(int64_t wall_us);

// Each parser accepts exactly the form its writer above makes (RFC 3339 also with fraction and numeric offset); microseconds since 1970.
std::optional<int64_t> parse_iso8601(std::string_view text);
std::optional<int64_t> parse_http_date(std::string_view text);
std::optional<int64_t> parse_compact_date(std::string_view text);

}  // namespace mayfly
