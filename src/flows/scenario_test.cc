// Runs every scenarios/*.scenario file: a small text that says what is given and what must come out.
//
//   # why this must hold
//   == flow NAME          a definition; "main" is the one that is run
//   == input              of main, JSON; {} if absent
//   == tasks              FUNCTION: REPLY, one per line (test_world.h)
//   == do                 "@5s stop FLOW EXECUTION Error cause" | "@5s restart" | "@5s start FLOW NAME {...}" | "@5s nothing"
//                         "@5s report-last FIELD FUNCTION {...}": success on the token in FIELD of that function's last input
//   == expect
//   refused: TEXT         main is not accepted; the whole message
//   status, error, output (JSON), took: of main's execution; cause: a part of it
//   calls: a b (reported) the functions called, in order, and reports with what became of them
//   payload FUNCTION: {}  the input of its last call; "*" as a member's value stands for anything
//   times FUNCTION: 0s 3s when it was called
//   history: Type(step) ...          all of it
//   detail Type(step): {}            of the last such event
//   execution FLOW/NAME: STATUS {}   another execution and its output

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "flows/state.h"
#include "flows/test_world.h"

namespace mayfly::flows::test {
namespace {

struct Section {
  std::string title, body;
};

std::vector<Section> read_sections(const std::string& path) {
  std::ifstream file(path);
  std::vector<Section> sections;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("== ")) sections.push_back({line.substr(3), ""});
    else if (!sections.empty()) sections.back().body += line + "\n";
  }
  return sections;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (auto trimmed = trim(line); !trimmed.empty() && !trimmed.starts_with('#')) out.emplace_back(trimmed);
  return out;
}

std::pair<std::string, std::string> split_at(const std::string& line, std::string_view mark) {
  size_t at = line.find(mark);
  if (at == std::string::npos) return {line, ""};
  return {line.substr(0, at), std::string(trim(std::string_view(line).substr(at + mark.size())))};
}

json::value parsed(const std::string& text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : json::value("not JSON: " + text);
}

// `pattern` with every "*" member taken from `actual`.
json::value filled(json::value pattern, const json::value& actual) {
  if (auto* object = pattern.if_object())
    for (auto& member : *object)
      if (const auto* real = find(actual, member.key())) member.value() = member.value() == json::value("*") ? *real : filled(member.value(), *real);
  return pattern;
}

class Scenario : public testing::TestWithParam<std::string> {
 protected:
  void expect_json(const std::string& pattern, const std::string& actual) {
    json::value value = actual.empty() ? json::value(nullptr) : parsed(actual);
    EXPECT_EQ(to_text(filled(parsed(pattern), value)), to_text(value));
  }

  void do_action(const std::string& line) {
    std::istringstream in(line.substr(1));
    std::string when, verb, flow, name, rest;
    in >> when >> verb;
    world_.loop().run_for(parse_span(when) - (world_.loop().now_us() - began_us_));
    if (verb == "nothing") return;
    if (verb == "restart") return world_.restart();
    if (verb == "report-last") {
      in >> flow >> name;
      std::getline(in, rest);
      std::string token = string_or(parsed(payload(name)), flow);
      EXPECT_TRUE(world_.loop().wait(world_.flows().report_succeeded(world_.loop(), token, std::string(trim(rest)))));
      return;
    }
    if (verb == "start") {
      in >> flow >> name;
      std::getline(in, rest);
      EXPECT_TRUE(world_.loop().wait(world_.flows().start(world_.loop(), {.flow = flow, .name = name, .input = std::string(trim(rest))})));
      return;
    }
    ASSERT_EQ(verb, "stop") << line;
    in >> flow >> name;
    std::string error;
    in >> error;
    std::getline(in, rest);
    EXPECT_TRUE(world_.loop().wait(world_.flows().stop(world_.loop(), flow, name, error, std::string(trim(rest)))));
  }

  void check(const std::string& key, const std::string& value, const Execution& run) {
    auto [what, about] = split_at(key, " ");
    if (key == "status") EXPECT_EQ(to_string(run.status), value);
    else if (key == "error") EXPECT_EQ(run.error, value);
    else if (key == "cause") EXPECT_NE(run.cause.find(value), std::string::npos) << run.cause;
    else if (key == "output") expect_json(value, run.output);
    else if (key == "took") EXPECT_EQ(run.stopped_us - run.started_us, parse_span(value));
    else if (key == "calls") EXPECT_EQ(calls(), value);
    else if (key == "history") EXPECT_EQ(types_of(world_.history("main")), value);
    else if (what == "payload") expect_json(value, payload(about));
    else if (what == "times") EXPECT_EQ(times(about), value);
    else if (what == "detail") expect_json(value, detail(about));
    else if (what == "execution") check_execution(about, value);
    else ADD_FAILURE() << "unknown expectation: " << key;
  }

  void check_execution(const std::string& address, const std::string& value) {
    auto [flow, name] = split_at(address, "/");
    auto found = world_.loop().wait(world_.flows().describe(world_.loop(), flow, name, io::Deadline::never()));
    ASSERT_TRUE(found) << found.error().message;
    auto [status, output] = split_at(value, " ");
    EXPECT_EQ(to_string(found->status), status) << found->error << ": " << found->cause;
    if (!output.empty()) expect_json(output, found->output);
  }

  std::string calls() {
    std::string out;
    for (const auto& call : world_.functions().calls()) out += (out.empty() ? "" : " ") + call.function;
    return out;
  }
  std::string payload(const std::string& function) {
    std::string out;
    for (const auto& call : world_.functions().calls())
      if (call.function == function) out = call.payload;
    return out;
  }
  std::string times(const std::string& function) {
    std::string out;
    for (const auto& call : world_.functions().calls())
      if (call.function == function) out += fmt::format("{}{}s", out.empty() ? "" : " ", static_cast<double>(call.at_us) / 1e6);
    return out;
  }
  std::string detail(const std::string& event) {
    std::string out;
    for (const auto& candidate : world_.history("main"))
      if (types_of({candidate}) == event) out = candidate.detail;
    return out;
  }

  World world_;
  int64_t began_us_ = world_.loop().now_us();
};

TEST_P(Scenario, Holds) {
  std::string input = "{}", refused, message;
  std::vector<std::string> actions, expectations;
  for (const auto& section : read_sections(GetParam())) {
    if (section.title == "input") input = trim(section.body);
    if (section.title == "do") actions = lines_of(section.body);
    if (section.title == "expect") expectations = lines_of(section.body);
    if (section.title == "tasks")
      for (const auto& line : lines_of(section.body)) world_.functions().script(split_at(line, ": ").first, split_at(line, ": ").second);
    if (!section.title.starts_with("flow ")) continue;
    Flow flow;
    flow.name = section.title.substr(5);
    flow.definition = section.body;
    auto created = world_.loop().wait(world_.flows().create_flow(world_.loop(), flow));
    if (!created) message = created.error().message;
  }
  ASSERT_FALSE(expectations.empty()) << "a scenario that expects nothing";
  if (expectations.front().starts_with("refused: ")) {
    EXPECT_EQ("refused: " + message, expectations.front());
    return;
  }
  ASSERT_EQ(message, "");
  auto started = world_.loop().wait(world_.flows().start(world_.loop(), {.flow = "main", .name = "run", .input = input}));
  ASSERT_TRUE(started) << started.error().message;
  for (const auto& action : actions) do_action(action);
  auto run = world_.loop().wait(world_.flows().describe(world_.loop(), "main", "run", io::Deadline::never()));
  ASSERT_TRUE(run);
  for (const auto& line : expectations) {
    auto [key, value] = split_at(line, ":");
    SCOPED_TRACE(line);
    check(key, value, *run);
  }
  if (HasFailure()) fmt::print("{} {} {}\n{}\n", to_string(run->status), run->error, run->cause, types_of(world_.history("main")));
}

std::vector<std::string> scenario_files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(MAYFLY_SOURCE_DIR "/src/flows/scenarios")) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Files, Scenario, testing::ValuesIn(scenario_files()), [](const auto& file) {
  std::string name = std::filesystem::path(file.param).stem();
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace mayfly::flows::test
