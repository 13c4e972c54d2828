#include "server/scheduled_starts.h"

#include <spdlog/spdlog.h>

#include "base/json.h"

namespace mayfly::server {
namespace {
constexpr std::string_view kQueue = "scheduled-starts";
}

ScheduledStarts::ScheduledStarts(io::Loop& loop, store::Store& store, flows::Flows& flows, const Clock& clock)
    : loop_(loop), store_(store), flows_(flows), clock_(clock),
      queue_(queues::make_work_queue(loop, store, {.name = std::string(kQueue)}, [this](queues::Message message) { return consume(std::move(message)); })) {}

void ScheduledStarts::add(store::Batch& batch, const std::string& flow, const std::string& schedule, const std::string& payload, int64_t tick_us) const {
  auto parsed = parse_json(payload);
  json::object input{{"triggerTime", iso8601_s(tick_us)}, {"triggerName", schedule}, {"payload", parsed ? *parsed : json::value(payload)}};
  std::string name = fmt::format("{}-{}", schedule, compact_date(tick_us));
  json::object start{{"flow", flow}, {"name", name}, {"input", to_text(input)}};
  queues::add(batch, {std::string(kQueue), clock_.wall_us(), flow + "/" + name, to_text(start)});
}

io::Task<void> ScheduledStarts::consume(queues::Message message) {
  json::value start = parse_json(message.payload).value();
  flows::StartRequest request{
      .flow = string_or(start, "flow"), .name = string_or(start, "name"), .input = string_or(start, "input"), .origin = "schedule/" + message.id};
  auto started = co_await flows_.start(loop_, std::move(request));
  if (!started) spdlog::error("the scheduled start of {} failed: {}", message.id, started.error().message);
  store::Batch batch;
  queues::acknowledge(batch, message);
  co_await store_.commit(loop_, std::move(batch));
}

}  // namespace mayfly::server
