#pragma once
// EgressApi: where a function may connect to beyond the platform (functions/egress.h), seen and granted by the machine's operator alone:
//   GET functions/<service>/<function>/egress                       {"egress": ["host:port", ...]}
//   PUT the same, ?allow=host:port&...&deny=host:port&...           what is granted after it; deny=all takes everything back first
// A change is a change of the function: its instances drain.

#include "functions/catalogue.h"
#include "http/message.h"

namespace mayfly::server {

class EgressApi {
 public:
  explicit EgressApi(functions::Catalogue& catalogue) : catalogue_(catalogue) {}

  io::Task<http::Response> handle(io::Loop& loop, std::string method, std::string service, std::string function, http::Query query);

 private:
  functions::Catalogue& catalogue_;
};

}  // namespace mayfly::server
