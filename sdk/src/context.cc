#include "mayfly/context.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace mayfly {

Credentials Context::credentials() const {
  size_t secret = keys_.find('\0');
  if (secret == keys_.npos) return {};
  size_t token = keys_.find('\0', secret + 1);
  if (token == keys_.npos) return {};
  return {keys_.substr(0, secret), keys_.substr(secret + 1, token - secret - 1), keys_.substr(token + 1)};
}

std::chrono::milliseconds Context::remaining() const {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline() - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

void Log::write(std::string_view level, std::string_view text) const {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  gmtime_r(&now.tv_sec, &parts);
  std::array<char, 80> stamp;
  size_t length = strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
  std::string line(stamp.data(), length);
  std::string millis = std::to_string(1000 + now.tv_nsec / 1'000'000);
  line.append(millis, 1).append("Z ").append(request_id_).append(" [").append(level).append("] ").append(text) += '\n';
  for (size_t at = 0; at < line.size();) {
    ssize_t wrote = ::write(fd_, line.data() + at, line.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // nobody reads the log any more
    at += static_cast<size_t>(wrote);
  }
}

}  // namespace mayfly
