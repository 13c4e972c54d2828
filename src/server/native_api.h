#pragma once
// Mayfly's own API under /mayfly/v1/: what the command line and the console need and no vendor offers. JSON; signed like FC requests by
// the account's root key, but for health and, from loopback, metrics.
//   GET health                              {"status":"ok"} once the server is ready
//   GET metrics                             Prometheus text
//   GET status                              version, uptime, sizes
//   GET functions/<service>/<function>      can I call it now; if not why; instances, last error, recent invocations with phases
//   GET, PUT functions/<service>/<function>/scaling                 scaling_api.h
//   GET logs?service=&function=&request_id=&since=&follow=&limit=   {"entries":[...],"next":"<cursor>"}; follow: seconds to wait for more
//   GET dead-letters?service=&function=&older_than_s=&newer_than_s=&after=&limit=   async invocations that were given up, oldest first
//   POST dead-letters/<id>/redeliver        run it again as new
//   DELETE dead-letters/<id>                forget it
//   POST dead-letters/redrive?...&limit=    run those that the filters above, or id=, name; with none: all=true      {"redriven":n}
//   POST dead-letters/purge?...&limit=      forget them                                                              {"purged":n}
//   POST async/<service>/<function>/<request id>/cancel   end an async invocation that waits or runs

#include "auth/keyring.h"
#include "dispatch/async.h"
#include "dispatch/dispatcher.h"
#include "functions/catalogue.h"
#include "gateway/router.h"
#include "usage/meter.h"

namespace mayfly::server {

class NativeApi final : public gateway::Dialect {
 public:
  static constexpr std::string_view kPrefix = "/mayfly/v1/";
  static constexpr int64_t kMaxFollowS = 60;
  static constexpr size_t kMaxLogEntries = 10'000;
  static constexpr size_t kMaxDeadLettersPage = 1'000;

  struct Context {
    functions::Catalogue& catalogue;
    functions::Settings& settings;
    dispatch::Dispatcher& dispatcher;
    dispatch::AsyncInvoker& async;
    usage::LogStore& logs;
    usage::Meter& meter;
    const auth::Keyring& keyring;
    const Clock& clock;
    std::function<json::object()> status;                               // of the node
    std::function<io::Task<std::vector<usage::Meter::Sample>>(io::Loop&)> samples;  // gauges of the node
  };
  explicit NativeApi(Context context) : context_(std::move(context)) {}

  std::string_view name() const override { return "mayfly"; }
  io::Task<http::Response> handle(io::Loop& loop, http::Request request) override;

 private:
  io::Task<http::Response> logs(io::Loop& loop, http::Query query);
  io::Task<http::Response> dead_letters(io::Loop& loop, http::Query query);
  io::Task<http::Response> end_dead_letter(io::Loop& loop, http::Request request, std::string rest);
  io::Task<http::Response> end_dead_letters(io::Loop& loop, http::Query query, bool redrive);
  io::Task<http::Response> cancel_call(io::Loop& loop, http::Request request, std::string rest);
  io::Task<http::Response> describe(io::Loop& loop, std::string service, std::string function);

  Context context_;
};

}  // namespace mayfly::server
