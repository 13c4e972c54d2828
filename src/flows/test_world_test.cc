#include <gtest/gtest.h>

#include "base/encoding.h"
#include "flows/test_world.h"

namespace mayfly::flows::test {

int64_t parse_span(std::string_view text) {
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  MAYFLY_CHECK(error == std::errc{});
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  double scale = unit == "ms" ? 1e3 : unit == "s" ? 1e6 : unit == "m" ? 60e6 : unit == "h" ? 3600e6 : 0;
  MAYFLY_CHECK(scale > 0);
  return static_cast<int64_t>(number * scale);
}

namespace {

std::string_view take_word(std::string_view& text) {
  text = trim(text);
  std::string_view word = text.substr(0, text.find(' '));
  text = trim(text.substr(word.size()));
  return word;
}

}  // namespace

std::string Functions::next_reply(const std::string& function, const std::string& payload) {
  if (auto answer = answers_.find(function); answer != answers_.end()) return answer->second(*parse_json(payload));
  auto script = replies_.find(function);
  if (script == replies_.end()) return "#not_found";
  std::string reply = script->second.front();
  if (script->second.size() > 1) script->second.pop_front();
  return reply;
}

io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> Functions::invoke(io::Loop& loop, dispatch::Invocation invocation, io::Deadline) {
  const std::string& name = invocation.target.function;
  calls_.push_back({name, invocation.target.qualifier, invocation.payload, loop.now_us() - began_us_});
  std::string reply = next_reply(name, invocation.payload);
  int64_t delay_us = 0;
  std::string_view rest = reply;
  if (rest.starts_with('@')) delay_us = parse_span(take_word(rest).substr(1));
  if (rest.starts_with("report")) {
    auto word = rest;
    take_word(word);
    std::string token = string_or(*parse_json(invocation.payload), take_word(word));
    if (delay_us == 0) co_await report(0, token, std::string(rest));
    else group_.spawn(report(delay_us, token, std::string(rest)));
    co_return dispatch::Outcome{.body = "{}"};
  }
  if (delay_us > 0) co_await io::sleep_us(loop, delay_us);
  using Kind = dispatch::Outcome::Kind;
  if (rest.starts_with('!')) {
    auto words = rest.substr(1);
    std::string type(take_word(words));
    co_return dispatch::Outcome{.kind = Kind::handled_error, .body = to_text(json::object{{"errorMessage", words}, {"errorType", type}})};
  }
  if (rest == "#throttled") co_return fail(dispatch::InvokeError::throttled, "too many");
  if (rest == "#exhausted") co_return fail(dispatch::InvokeError::exhausted, "no instance");
  if (rest == "#unavailable") co_return fail(dispatch::InvokeError::unavailable, "cannot start");
  if (rest == "#not_found") co_return fail(dispatch::InvokeError::not_found, "no such function");
  if (rest == "#stopping") co_return fail(dispatch::InvokeError::stopping, "the server is shutting down");
  if (rest == "#died") co_return dispatch::Outcome{.kind = Kind::unhandled_error, .body = ""};
  if (rest == "#oom") co_return dispatch::Outcome{.kind = Kind::out_of_memory, .body = ""};
  if (rest == "#timeout") co_return dispatch::Outcome{.kind = Kind::timed_out, .body = ""};
  co_return dispatch::Outcome{.body = std::string(rest)};
}

io::Task<void> Functions::report(int64_t delay_us, std::string token, std::string reply) {
  if (delay_us > 0) co_await io::sleep_us(loop_, delay_us);
  std::string_view rest = reply;
  const bool failed = take_word(rest) == "reportfail";
  take_word(rest);
  if (failed) {
    std::string type(take_word(rest));
    auto reported = co_await flows_->report_failed(loop_, token, type, std::string(rest));
    calls_.push_back({reported ? "(reported)" : "(refused)", "", "", loop_.now_us() - began_us_});
  } else {
    auto reported = co_await flows_->report_succeeded(loop_, token, std::string(rest));
    calls_.push_back({reported ? "(reported)" : "(refused)", "", "", loop_.now_us() - began_us_});
  }
}

void World::boot() {
  store_ = store::make_inline_store(*rows_);
  engine_ = std::make_unique<Engine>(Engine::Parts{.loops = {&loop_}, .store = *store_, .invoker = functions_, .rng = rng_, .options = options_});
  functions_.set_flows(engine_.get());
  engine_->start();
}

void World::halt() {
  if (!engine_) return;
  loop_.wait(functions_.drain());
  loop_.wait(engine_->stop(loop_));
  engine_.reset();
  store_.reset();
}

Flow World::create(std::string name, std::string definition) {
  Flow flow;
  flow.name = std::move(name);
  flow.definition = std::move(definition);
  auto created = loop_.wait(flows().create_flow(loop_, flow));
  EXPECT_TRUE(created) << (created ? "" : created.error().message);
  return created ? *created : Flow{};
}

Execution World::run(std::string flow, std::string input, std::string name) {
  auto started = loop_.wait(flows().start(loop_, {.flow = flow, .name = name, .input = std::move(input)}));
  EXPECT_TRUE(started) << (started ? "" : started.error().message);
  if (!started) return {};
  return *loop_.wait(flows().describe(loop_, flow, name, io::Deadline::never()));
}

std::vector<HistoryEvent> World::history(std::string flow, std::string name) {
  std::vector<HistoryEvent> out;
  std::string next;
  do {
    auto page = loop_.wait(flows().history(loop_, flow, name, next, 1000));
    EXPECT_TRUE(page);
    if (!page) break;
    for (auto& event : page->items) out.push_back(std::move(event));
    next = page->next;
  } while (!next.empty());
  return out;
}

std::string types_of(const std::vector<HistoryEvent>& events) {
  std::string out;
  for (const auto& event : events) {
    if (!out.empty()) out += ' ';
    out += event.step.empty() ? event.type : fmt::format("{}({})", event.type, event.step);
  }
  return out;
}

}  // namespace mayfly::flows::test
