#include "sandbox/report.h"

#include <unistd.h>

#include <cerrno>

#include "sandbox/protocol.h"
#include "sys/fault.h"

namespace mayfly::sandbox {

io::Task<std::optional<std::string>> read_report(io::Shard& shard, int report, io::Deadline deadline) {
  std::string words;
  while (true) {
    char buffer[kMaxWordsBytes];
    ssize_t got = ::read(report, buffer, sizeof buffer);
    if (got > 0) words.append(buffer, static_cast<size_t>(got));
    if (got == 0 || words == kHolds) co_return words;
    if (got < 0 && errno == ECONNRESET) co_return words;  // a held one that ended before it was released
    if (got < 0 && errno != EAGAIN && errno != EINTR) throw sys::Fault("read", "the sandbox's report", errno);
    if (got < 0 && errno == EAGAIN && !co_await shard.wait_readable(report, deadline)) co_return std::nullopt;
  }
}

std::unexpected<Failure<LaunchError>> failure_of(const std::string& words) {
  constexpr std::string_view kItself = "program: ";
  if (words.starts_with(kItself)) return fail(LaunchError::not_started, "the program could not be started: " + words.substr(kItself.size()));
  return fail(LaunchError::refused, "the sandbox could not be made: " + words, kLaunchHint);
}

}  // namespace mayfly::sandbox
