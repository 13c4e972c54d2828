#include "base/encoding.h"
#include "flows/engine.h"
#include "flows/state.h"
#include "store/keys.h"

// The listings: executions of a flow, newest first, and an execution's history.

namespace mayfly::flows {
namespace {

constexpr size_t kScanRows = 200;         // index rows read at a time
constexpr size_t kMaxScanned = 10'000;    // per call, so that a filter that matches nothing stays cheap; `next` goes on from there
constexpr size_t kMaxListed = 1'000;      // executions or events in one page (aliyun-fnf.md section 6)

struct IndexRange {
  std::string first, last;
};

IndexRange index_of(const ExecutionFilter& filter) {
  // Newest first: the index holds negated times, so the latest wanted start comes first.
  const int64_t newest = filter.started_to_us, oldest = filter.started_from_us;
  auto key = [&](int64_t started_us) {
    std::string whole = filter.status ? status_index_key(filter.flow, *filter.status, started_us, "") : time_index_key(filter.flow, started_us, "");
    return whole;
  };
  // The key of an older start is a bound for all names of this one.
  return {key(newest), key(oldest == INT64_MIN ? oldest : oldest - 1)};
}

}  // namespace

io::Task<Result<Page<Execution>>> Engine::list(io::Loop& loop, ExecutionFilter filter) {
  MAYFLY_CO_TRY([[maybe_unused]] auto known, co_await definitions_.flow(loop, filter.flow));
  const size_t limit = std::clamp<size_t>(filter.limit, 1, kMaxListed);
  IndexRange range = index_of(filter);
  if (!filter.next.empty()) {
    auto after = base64_decode(filter.next);
    if (!after || *after < range.first || *after >= range.last) co_return fail(FlowError::invalid_argument, "NextToken is not of this listing");
    range.first = *after + '\0';
  }
  Page<Execution> page;
  for (size_t scanned = 0; scanned < kMaxScanned;) {
    auto rows = co_await store_.scan(loop, {.first = range.first, .last = range.last, .limit = kScanRows});
    for (const auto& row : rows) {
      auto parts = store::split_key(row.key);
      MAYFLY_CHECK(parts && !parts->empty());
      if (!parts->back().starts_with(filter.name_prefix)) continue;
      if (page.items.size() == limit) co_return page;  // `next` still names the last one given
      MAYFLY_CO_TRY(auto execution, co_await read(loop, filter.flow, parts->back()));
      page.items.push_back(std::move(execution));
      page.next = base64_encode(row.key);
    }
    scanned += rows.size();
    if (rows.size() < kScanRows) {
      page.next.clear();
      co_return page;
    }
    range.first = rows.back().key + '\0';
  }
  page.next = base64_encode(range.first.substr(0, range.first.size() - 1));
  co_return page;
}

io::Task<Result<Page<HistoryEvent>>> Engine::history(io::Loop& loop, std::string flow, std::string name, std::string next, size_t limit) {
  if (!co_await store_.get(loop, execution_key(flow, name))) {
    co_return fail(FlowError::execution_not_found, fmt::format("execution '{}' of flow '{}' does not exist", name, flow));
  }
  int64_t from = 1;
  if (!next.empty()) {
    auto [end, error] = std::from_chars(next.data(), next.data() + next.size(), from);
    if (error != std::errc{} || end != next.data() + next.size() || from < 1) co_return fail(FlowError::invalid_argument, "NextToken is not of this listing");
  }
  limit = std::clamp<size_t>(limit, 1, kMaxListed);
  // The commit that holds event `from` is the last one that begins at or before it.
  auto holder = co_await store_.scan(loop, {.first = history_key(flow, name, 0), .last = history_key(flow, name, from + 1), .limit = 1, .reverse = true});
  Page<HistoryEvent> page;
  std::string first = holder.empty() ? history_key(flow, name, 0) : holder.front().key;
  const std::string last = history_key(flow, name, INT64_MAX);
  while (true) {
    auto rows = co_await store_.scan(loop, {.first = first, .last = last, .limit = 1});
    if (rows.empty()) co_return page;
    for (auto& event : read_history(rows.front().value)) {
      if (event.id < from) continue;
      if (page.items.size() == limit) {
        page.next = std::to_string(event.id);
        co_return page;
      }
      page.items.push_back(std::move(event));
    }
    first = rows.front().key + '\0';
  }
}

}  // namespace mayfly::flows
