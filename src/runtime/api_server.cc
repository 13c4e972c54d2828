#include "runtime/api_server.h"

namespace mayfly::runtime {
namespace {

// A connection rests while its program works or waits for work: neither has a bound of its own but the function's timeout, a day at most.
constexpr int64_t kRestUs = 25 * 3600 * kMicrosPerSecond;
// Lambda's clients send the cause of an error, at most 1 MiB of it, in a header (X-Ray-Error-Cause).
constexpr size_t kHeaderBytes = (1 << 20) + (64 << 10);
constexpr int64_t kDrainUs = kMicrosPerSecond;  // the programs are gone, and with them whoever could be slow

http::ServerLimits api_limits() {
  http::ServerLimits limits;
  limits.header_bytes = kHeaderBytes;
  limits.idle_timeout_us = limits.body_timeout_us = kRestUs;
  return limits;
}

}  // namespace

ApiServer::ApiServer(io::Shard& shard)
    : shard_(shard), server_(http::make_http_server(shard, [this](http::Request request) { return answer(std::move(request)); }, api_limits())) {}

void ApiServer::open(const std::string& instance_id, std::unique_ptr<io::Listener> listener, std::shared_ptr<ApiLink> link) {
  links_[instance_id] = std::move(link);
  server_->serve(std::move(listener), "http", instance_id);
}

void ApiServer::close(const std::string& instance_id) {
  server_->close_door(instance_id);
  links_.erase(instance_id);
}

io::Task<void> ApiServer::drain() { return server_->drain(io::Deadline::after_us(shard_, kDrainUs)); }

io::Task<http::Response> ApiServer::answer(http::Request request) {
  auto found = links_.find(request.door);
  if (found == links_.end()) co_return api_refused(503, "InstanceEnding", "this instance has ended");
  auto link = found->second;
  co_return co_await link->answer(std::move(request));
}

}  // namespace mayfly::runtime
