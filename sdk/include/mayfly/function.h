#pragma once
// Functions for Mayfly in C++. A program is one or several functions and serves them:
//
//   #include <mayfly/function.h>
//
//   int main() {
//     return mayfly::serve(mayfly::function("faces", [](mayfly::Event event, mayfly::Context& context) -> mayfly::Reply {
//       context.log.info("looking at ", event.size(), " bytes");
//       return mayfly::Json{{"faces", find_faces(event)}};
//     }));
//   }
//
// A template's Handler names the program and the function in it, "thumbs.faces" (just "thumbs" when it holds one). A handler takes what it
// wants: an Event or a Request, and the Context if it cares; it returns anything a Reply is made of, or nothing. What it throws becomes
// the caller's error, {errorMessage, errorType, stackTrace}; the instance lives on.
//
// Calls come one at a time, on the thread of main. When the template's instanceConcurrency is greater, calls run in that many threads at
// once, unless the function says that it never_waits(). Views (Event::body, Request, Context) hold until the handler returns; a stream's
// body may use them too.

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "mayfly/context.h"
#include "mayfly/json.h"
#include "mayfly/reply.h"
#include "mayfly/request.h"

namespace mayfly {

// What a function is called with: bytes, most often JSON text.
struct Event {
  std::string_view body;

  size_t size() const { return body.size(); }
  Json json() const { return Json::parse(body); }
  operator std::string_view() const { return body; }
};

// Thrown by a handler, an error with a type of the author's: {errorMessage: message, errorType: type, ...}.
class Error : public std::runtime_error {
 public:
  Error(std::string type, const std::string& message) : std::runtime_error(message), type_(std::move(type)) {}
  const std::string& type() const { return type_; }

 private:
  std::string type_;
};

// A named handler and what surrounds its life. Made by function() and http().
class Function {
 public:
  using Handler = std::function<Reply(const Request&, Context&)>;
  using Hook = std::function<void(Context&)>;

  Function(std::string name, Handler handler) : name_(std::move(name)), handler_(std::move(handler)) {}

  // Runs once in each new instance, before its first call; what it throws fails the start. Bounded by initializationTimeout.
  Function& initializer(Hook hook) { return initializer_ = std::move(hook), *this; }
  // Runs once when the instance is about to end in peace.
  Function& pre_stop(Hook hook) { return pre_stop_ = std::move(hook), *this; }
  // Runs when the instance is about to sleep.
  Function& pre_freeze(Hook hook) { return pre_freeze_ = std::move(hook), *this; }
  // A promise that makes calls cheaper when the instance takes several at once: they run one after another on the reading thread, and
  // answers leave together. Only for handlers that compute briefly and wait for nothing (no I/O, no other call).
  Function& never_waits() { return never_waits_ = true, *this; }

  const std::string& name() const { return name_; }
  const Handler& handler() const { return handler_; }
  const Hook& initializer() const { return initializer_; }
  const Hook& pre_stop() const { return pre_stop_; }
  const Hook& pre_freeze() const { return pre_freeze_; }
  bool runs_on_one_thread() const { return never_waits_; }

 private:
  std::string name_;
  Handler handler_;
  Hook initializer_, pre_stop_, pre_freeze_;
  bool never_waits_ = false;
};

namespace detail {

template <class Handler, class Input>
Reply answer(Handler& handler, const Input& input, Context& context) {
  auto run = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<Handler&, Input, Context&>) return handler(input, context);
    else return handler(input);
  };
  if constexpr (std::is_void_v<decltype(run())>) return run(), Reply();
  else return Reply(run());
}

// Not a constraint of the templates below: those make names that debuggers and stack traces cannot read yet.
template <class Handler, class Input>
constexpr bool kTakes = std::is_invocable_v<Handler&, Input, Context&> || std::is_invocable_v<Handler&, Input>;

}  // namespace detail

// A function of events: handler(Event) or handler(Event, Context&).
template <class Handler>
Function function(std::string name, Handler handler) {
  static_assert(detail::kTakes<Handler, Event>, "the handler of mayfly::function takes (mayfly::Event) or (mayfly::Event, mayfly::Context&)");
  return {std::move(name), [handler = std::move(handler)](const Request& request, Context& context) mutable {
            return detail::answer(handler, Event{request.body()}, context);
          }};
}

// A function of HTTP requests: handler(const Request&) or handler(const Request&, Context&). Called with a plain event it sees POST /.
template <class Handler>
Function http(std::string name, Handler handler) {
  static_assert(detail::kTakes<Handler, const Request&>, "the handler of mayfly::http takes (const mayfly::Request&) or (const mayfly::Request&, mayfly::Context&)");
  return {std::move(name), [handler = std::move(handler)](const Request& request, Context& context) mutable {
            return detail::answer(handler, request, context);
          }};
}

// Serves until the platform ends the instance; the program's exit status. Started by a person instead, it explains itself and runs one
// call from a file: --event FILE, or --http "GET /path" with the body from FILE.
int serve(std::vector<Function> functions);

template <class... More>
int serve(const Function& first, const More&... more) {
  return serve(std::vector<Function>{first, Function(more)...});
}

}  // namespace mayfly
