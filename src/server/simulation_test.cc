// The chain the product is made of, with the power cut at each commit in turn: an object is put, its event is delivered to a function in
// the same commit, the function starts a flow, the flow's task makes another object. Whatever was acknowledged comes to its end, nothing
// is half-done, nothing is made up, and no message is left.
#include "store/simulation.h"

#include <gtest/gtest.h>

#include "dispatch/async.h"
#include "events/triggers.h"
#include "flows/engine.h"
#include "functions/fake_code.h"
#include "functions/settings.h"
#include "objects/buckets.h"
#include "objects/maintenance.h"

namespace mayfly::server {
namespace {

using store::SimMachine;

constexpr int kPhotos = 3;
constexpr int64_t kPatienceUs = 600 * kMicrosPerSecond;  // simulated: every retry of a life fits into it
constexpr std::string_view kFlow = R"(
version: v1
type: flow
steps:
- {type: task, name: mark, resourceArn: 'acs:fc:::services/s/functions/mark'}
- {type: succeed, name: end})";

// One life of the node's rooms; functions are done by invoke() below instead of an instance.
class Rooms final : public dispatch::Invoker {
 public:
  Rooms(SimMachine& machine, functions::FakeCodeStore& code)
      : machine_(machine),
        code_(code),
        catalogue_(functions::make_catalogue(machine.store(), code, machine.loop().clock(), machine.rng())),
        settings_(machine.store(), machine.loop().clock()),
        triggers_(*catalogue_, machine.loop().clock(), machine.rng(),
                  {"1234", "local", [this](store::Batch& batch, dispatch::Invocation call) { dispatch::add_async(batch, call, machine_.loop().clock().wall_us()); },
                   [this] { async_->wake(); }}),
        ground_{machine.store(), machine.blobs(), machine.loop().clock(), machine.rng(), &triggers_, 0},
        objects_(ground_),
        async_(dispatch::make_async_invoker({&machine.loop()}, machine.store(), *this, *catalogue_, settings_, machine.rng(), {.on_fault = [](std::exception_ptr) {}})),
        flows_({.loops = {&machine.loop()}, .store = machine.store(), .invoker = *this, .rng = machine.rng(), .options = {.on_fault = [](std::exception_ptr) {}}}) {}

  objects::Objects& objects() { return objects_; }

  io::Task<void> open() {
    io::Loop& loop = machine_.loop();
    co_await settings_.load(loop);
    co_await catalogue_->load(loop);
    co_await objects::recover(ground_, loop);
    auto named = co_await objects::named_blobs(ground_, loop);
    co_await machine_.blobs().sweep(loop, [&named](const std::string& id) { return named.contains(id); });
    co_await furnish();
    triggers_.reload();
    flows_.start();
    co_await async_->start(loop);
  }

  io::Task<void> close() {
    co_await async_->stop(machine_.loop());
    co_await flows_.stop(machine_.loop());
  }

  // Everything that was caused has had its effect.
  io::Task<bool> quiet() {
    auto messages = co_await machine_.store().scan(machine_.loop(), {.first = "q", .last = "r", .limit = 1});
    co_return messages.empty();
  }

  io::Task<Expected<dispatch::Outcome, dispatch::InvokeError>> invoke(io::Loop& loop, dispatch::Invocation call, io::Deadline) override {
    co_await io::sleep_us(loop, 100'000);
    auto event = parse_json(call.payload);
    if (call.target.function == "begin") {
      std::string key = string_or(event->at("events").at(0).at("oss").at("object"), "key");
      std::string name = "run-" + key.substr(key.rfind('/') + 1);  // the same event twice starts one execution
      flows::StartRequest request{.flow = "marking", .name = name, .input = to_text(json::object{{"key", key}})};
      auto started = co_await flows_.start(loop, std::move(request));
      if (!started && started.error().code != flows::FlowError::execution_exists) co_return fail(dispatch::InvokeError::exhausted, started.error().message);
      co_return dispatch::Outcome{.body = "{}"};
    }
    std::string key = string_or(*event, "key");
    auto original = co_await objects_.get(loop, {.bucket = "photos", .key = key});
    if (!original) co_return fail(dispatch::InvokeError::exhausted, original.error().message);
    auto bytes = co_await original->body->read_all(1 << 20);
    objects::PutRequest put{.info = {.bucket = "photos", .key = "out" + key.substr(2)}};
    auto made = co_await objects_.put(loop, std::move(put), http::make_body("marked " + *bytes));
    if (!made) co_return fail(dispatch::InvokeError::exhausted, made.error().message);
    co_return dispatch::Outcome{.body = R"({"marked":true})"};
  }

 private:
  // Deploys what an earlier life may have deployed already.
  io::Task<void> furnish() {
    io::Loop& loop = machine_.loop();
    functions::Service service{.name = "s"};
    auto made = co_await catalogue_->create_service(loop, std::move(service));
    auto code = *co_await code_.add(loop, http::make_body("zip"), functions::kCodeLimits);
    for (const char* name : {"begin", "mark"}) {
      functions::Function function{.service = "s", .name = name, .runtime = "python3", .handler = "index.handler", .code = code};
      auto created = co_await catalogue_->create_function(loop, std::move(function));
    }
    functions::Trigger trigger{.service = "s", .function = "begin", .name = "photo", .type = "oss", .source_arn = "acs:oss:local:1234:photos"};
    trigger.config = parse_json(R"({"events":["oss:ObjectCreated:*"],"filter":{"key":{"prefix":"in/","suffix":""}}})")->as_object();
    auto created = co_await catalogue_->create_trigger(loop, std::move(trigger));
    objects::Bucket bucket{.name = "photos"};
    objects::Buckets buckets(ground_);
    auto there = co_await buckets.create(loop, std::move(bucket));
    flows::Flow flow{.name = "marking", .definition = std::string(kFlow)};
    auto flowing = co_await flows_.create_flow(loop, std::move(flow));
  }

  SimMachine& machine_;
  functions::FakeCodeStore& code_;
  std::unique_ptr<functions::Catalogue> catalogue_;
  functions::Settings settings_;
  events::ObjectTriggers triggers_;
  objects::Ground ground_;
  objects::Objects objects_;
  std::unique_ptr<dispatch::AsyncInvoker> async_;
  flows::Engine flows_;
};

class Chain final : public store::Scenario {
 public:
  explicit Chain(uint64_t seed) : seed_(seed) {}

  io::Task<void> live(SimMachine& machine) override {
    functions::FakeCodeStore code;
    Rooms rooms(machine, code);
    bool opened = false;
    try {
      co_await rooms.open();
      opened = true;
      co_await work(machine, rooms);
    } catch (const store::PowerCut&) {
    }
    co_await rooms.close();  // opened in part, if the power went meanwhile
    settled_ = opened && machine.power().is_on();
  }

  io::Task<std::string> inspect(SimMachine& machine) override {
    functions::FakeCodeStore code;
    Rooms rooms(machine, code);
    io::Loop& loop = machine.loop();
    for (int photo = 0; photo < kPhotos; ++photo) {
      std::string in = co_await read(loop, rooms, "in/" + std::to_string(photo));
      std::string out = co_await read(loop, rooms, "out/" + std::to_string(photo));
      if (acknowledged_.contains(photo) && in != content(photo)) co_return fmt::format("photo {} was acknowledged and is '{}'", photo, in.substr(0, 40));
      if (!in.empty() && in != content(photo)) co_return fmt::format("photo {} is torn", photo);
      if (!out.empty() && (in.empty() || out != "marked " + content(photo))) co_return fmt::format("the marked copy of photo {} is made up", photo);
      if (settled_ && !in.empty() && out.empty()) co_return fmt::format("photo {} is there and its event was lost", photo);
    }
    if (!std::exchange(settled_, false)) co_return "";
    auto messages = co_await machine.store().scan(loop, {.first = "q", .last = "r"});
    co_return messages.empty() ? "" : "a message is left: " + messages.front().value;
  }

 private:
  // Small ones are rows, large ones blobs.
  std::string content(int photo) const {
    SeededRng rng(seed_ + static_cast<uint64_t>(photo));
    return rng.bytes(photo == 0 ? 20'000 : 100);
  }

  io::Task<void> work(SimMachine& machine, Rooms& rooms) {
    io::Loop& loop = machine.loop();
    for (int photo = 0; photo < kPhotos; ++photo) {
      objects::PutRequest put{.info = {.bucket = "photos", .key = "in/" + std::to_string(photo)}};
      auto made = co_await rooms.objects().put(loop, std::move(put), http::make_body(content(photo)));
      if (made) acknowledged_.insert(photo);
    }
    auto patience = io::Deadline::after_us(loop, kPatienceUs);
    while (machine.power().is_on() && !patience.passed(loop) && !co_await rooms.quiet()) co_await io::sleep_us(loop, kMicrosPerSecond / 2);
  }

  static io::Task<std::string> read(io::Loop& loop, Rooms& rooms, std::string key) {
    auto found = co_await rooms.objects().get(loop, {.bucket = "photos", .key = std::move(key)});
    if (!found) co_return "";
    auto bytes = co_await found->body->read_all(1 << 20);
    co_return bytes ? *bytes : "unreadable";
  }

  const uint64_t seed_;
  std::set<int> acknowledged_;
  bool settled_ = false;  // the last life ended in good order, with time enough for everything
};

std::unique_ptr<store::Scenario> make_chain(uint64_t seed) { return std::make_unique<Chain>(seed); }

TEST(NodeSimulation, AnObjectItsEventAndItsFlowSurviveACutAtEveryStep) {
  auto report = store::simulate({.seeds = 2}, make_chain);
  EXPECT_EQ(report.broken, "");
  EXPECT_GT(report.cuts, 100u);
}

TEST(NodeSimulation, TheySurviveCutsAndFailedSyncsOverManySeeds) {
  auto report = store::simulate({.first_seed = 100, .seeds = 40, .cuts_per_seed = 8, .sync_failures = true}, make_chain);
  EXPECT_EQ(report.broken, "");
}

struct Planted {
  const char* name;
  store::SimFaults faults;
};
class PlantedFault : public testing::TestWithParam<Planted> {};

TEST_P(PlantedFault, IsFoundInTheWholeNode) {
  auto report = store::simulate({.seeds = 500, .cuts_per_seed = 8, .faults = GetParam().faults}, make_chain);
  EXPECT_NE(report.broken, "") << "a node with this fault passed 500 seeds";
}

INSTANTIATE_TEST_SUITE_P(Node, PlantedFault,
                         testing::Values(Planted{"skip_blob_sync", {.skip_blob_sync = true}}, Planted{"skip_folder_sync", {.skip_folder_sync = true}},
                                         Planted{"acknowledge_before_commit", {.acknowledge_before_commit = true}}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace mayfly::server
