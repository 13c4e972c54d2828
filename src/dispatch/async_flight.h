#pragma once
// Flight: one asynchronous call between its queue and what came of it, on its partition's loop. It is there from the moment the consumer
// has the message until the batch that acknowledges it has committed, so that whoever wants to stop the call finds it. What its record
// says (of a task) is written by one at a time: each writer takes a turn.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "dispatch/async_policy.h"
#include "dispatch/async_tasks.h"
#include "dispatch/call_watch.h"
#include "functions/turn.h"
#include "io/sync.h"

namespace mayfly::dispatch {

struct Flight {
  Flight(io::Loop& loop, queues::Message its_row, AsyncMessage decoded, AsyncPolicy its_policy)
      : row(std::move(its_row)), message(std::move(decoded)), policy(std::move(its_policy)), ended(loop) {}

  const queues::Message row;  // it lies in the queue as this; the payload is in `message`
  AsyncMessage message;
  AsyncPolicy policy;
  std::shared_ptr<CallWatch> watch{};  // set before the call is made
  std::optional<TaskRecord> task{};    // what is stored, or being stored
  bool stop_asked = false;
  bool acknowledged = false;  // its row is gone: the stop of a plain call took it, since no record could say that it must not run again
  bool ending = false;  // its last batch is being written: too late to stop it
  functions::Turns turns{};
  io::Signal ended;
};

// The flights of one partition, by request id.
class Flights {
 public:
  // In the air while it lives.
  class Airborne {
   public:
    Airborne(Flights& flights, std::shared_ptr<Flight> flight) : flights_(flights), flight_(std::move(flight)) {
      flights_.all_[flight_->message.invocation.request_id] = flight_;
    }
    Airborne(const Airborne&) = delete;
    ~Airborne() {
      auto at = flights_.all_.find(flight_->message.invocation.request_id);
      if (at != flights_.all_.end() && at->second == flight_) flights_.all_.erase(at);
      flight_->ended.set();
    }

   private:
    Flights& flights_;
    std::shared_ptr<Flight> flight_;
  };

  std::shared_ptr<Flight> find(const std::string& request_id) const {
    auto at = all_.find(request_id);
    return at == all_.end() ? nullptr : at->second;
  }

 private:
  std::map<std::string, std::shared_ptr<Flight>> all_;  // shared with who waits for its end
};

}  // namespace mayfly::dispatch
