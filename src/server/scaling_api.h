#pragma once
// ScalingApi: how many instances of a function there are and should be, seen and set without a vendor's API (dispatch/limits.h):
//   GET functions/<service>/<function>/scaling?qualifier=     what was asked for, and what is
//   PUT the same, &min=&max=&reserved=&annotations=           changes what is named; 0 takes a number back, annotations is a JSON object of
//                                                             autoscaling.knative.dev/... and {} takes it back
// It writes the same documents as the dialects.

#include "dispatch/dispatcher.h"
#include "functions/settings.h"
#include "http/message.h"

namespace mayfly::server {

class ScalingApi {
 public:
  ScalingApi(const functions::Catalogue& catalogue, functions::Settings& settings, dispatch::Dispatcher& dispatcher)
      : catalogue_(catalogue), settings_(settings), dispatcher_(dispatcher) {}

  io::Task<http::Response> handle(io::Loop& loop, std::string method, std::string service, std::string function, http::Query query);

 private:
  struct Wish;
  io::Task<std::string> change(io::Loop& loop, std::string service, std::string function, Wish wish);  // what is wrong, or ""
  io::Task<std::string> put(io::Loop& loop, const char* kind, std::string name, std::string member, json::value value);
  io::Task<http::Response> show(io::Loop& loop, std::string service, std::string function, std::string qualifier);
  std::string check(const functions::Function& function, const Wish& wish, const dispatch::Totals& totals) const;

  const functions::Catalogue& catalogue_;
  functions::Settings& settings_;
  dispatch::Dispatcher& dispatcher_;
};

// {"minimum", "maximum", "reservedMb", "suspended": [{"qualifier", "until", "failures", "why"}], "scalers": [...]}
json::object scaling_json(const dispatch::FunctionStatus& status);

}  // namespace mayfly::server
