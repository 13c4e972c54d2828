#include "functions/catalogue.h"

#include <gtest/gtest.h>

#include "functions/fake_code.h"
#include "functions/validate.h"
#include "io/group.h"
#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::functions {
namespace {

class CatalogueTest : public ::testing::Test {
 protected:
  CatalogueTest() { open(); }
  void open() {
    catalogue_ = make_catalogue(*store_, code_, loop_.clock(), rng_);
    loop_.wait(catalogue_->load(loop_));
  }
  Function function(const std::string& service, const std::string& name) {
    return {.service = service, .name = name, .runtime = "python3", .handler = "index.handler", .code = {"d1", "1", 10}};
  }
  Trigger oss(const std::string& name, const std::string& prefix, const std::string& suffix, const std::string& event = "oss:ObjectCreated:*") {
    Trigger trigger{.service = "s", .function = "f", .name = name, .type = "oss", .source_arn = "acs:oss:local:1:bucket"};
    trigger.config = json::object{{"events", json::array{event}}, {"filter", json::object{{"key", json::object{{"prefix", prefix}, {"suffix", suffix}}}}}};
    return trigger;
  }
  Trigger http(const std::string& name, const std::string& qualifier) {
    return {.service = "s", .function = "f", .name = name, .type = "http", .qualifier = qualifier};
  }
  template <class T>
  T ok(io::Task<Result<T>> task) {
    auto result = loop_.wait(std::move(task));
    EXPECT_TRUE(result) << result.error().message;
    return std::move(*result);
  }
  template <class T>
  Failure<CatalogueError> failed(io::Task<Result<T>> task) {
    auto result = loop_.wait(std::move(task));
    EXPECT_FALSE(result);
    return result ? Failure<CatalogueError>{} : result.error();
  }
  Code add_code(std::string bytes) { return ok(code_.add(loop_, http::make_body(std::move(bytes)), kCodeLimits)); }
  void service_and_function() {
    ok(catalogue_->create_service(loop_, {.name = "s"}));
    ok(catalogue_->create_function(loop_, function("s", "f")));
  }

  io::SimLoop loop_;
  SeededRng rng_{7};
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  FakeCodeStore code_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(CatalogueTest, KeepsEverythingAcrossARestart) {
  service_and_function();
  ok(catalogue_->create_trigger(loop_, oss("t", "a/", ".jpg")));
  ok(catalogue_->publish(loop_, "s", "first"));
  ok(catalogue_->create_alias(loop_, "s", {.name = "prod", .version = "1", .additional_weights = {}}));
  auto before = *catalogue_->resolve("s", "prod", "f", 0.5);
  std::string tag = etag(*catalogue_->trigger("s", "f", "t"));
  open();
  EXPECT_EQ(etag(*catalogue_->trigger("s", "f", "t")), tag);
  auto after = catalogue_->resolve("s", "prod", "f", 0.5);
  ASSERT_TRUE(after);
  EXPECT_EQ((*after)->revision, before->revision);
  EXPECT_EQ((*after)->version, "1");
  EXPECT_EQ((*after)->code_path, "/packages/d1");
  EXPECT_EQ(failed(catalogue_->publish(loop_, "s", "again")).code, CatalogueError::conflict);
}

TEST_F(CatalogueTest, NamesThePackagesThatMustStay) {
  Code named = add_code("named"), frozen = add_code("frozen"), lost = add_code("lost");
  ok(catalogue_->create_service(loop_, {.name = "s"}));
  Function f = function("s", "f");
  f.code = frozen;
  ok(catalogue_->create_function(loop_, f));
  ok(catalogue_->publish(loop_, "s", ""));
  f.code = named;
  ok(catalogue_->update_function(loop_, f, ""));
  open();
  loop_.wait(code_.keep_only(loop_, catalogue_->package_names()));
  EXPECT_TRUE(code_.package_path(named.digest));
  EXPECT_TRUE(code_.package_path(frozen.digest));
  EXPECT_FALSE(code_.package_path(lost.digest));
}

TEST_F(CatalogueTest, FunctionsRunWithTheLayersTheyNamedAndVersionsFreezeThem) {
  ok(catalogue_->create_service(loop_, {.name = "s"}));
  Function f = function("s", "f");
  f.layers = {{"numbers", 1, "l1"}};
  ok(catalogue_->create_function(loop_, f));
  EXPECT_EQ((*catalogue_->resolve("s", "", "f", 0))->layers_path, "/packages/l1");
  ok(catalogue_->publish(loop_, "s", ""));
  std::vector<LayerRef> both{{"numbers", 1, "l1"}, {"words", 4, "l2"}};
  f.layers = both;
  ok(catalogue_->update_function(loop_, f, ""));
  open();
  EXPECT_EQ(catalogue_->function("s", "", "f")->layers, both);
  EXPECT_EQ((*catalogue_->resolve("s", "", "f", 0))->layers_path, "/packages/" + layers_name(both));
  EXPECT_EQ((*catalogue_->resolve("s", "1", "f", 0))->layers_path, "/packages/l1");
  EXPECT_EQ(catalogue_->package_names(), (std::set<std::string>{"d1", "l1", "l2", layers_name(both)}));
  EXPECT_TRUE(code_.merged.contains(layers_name(both)));
  EXPECT_NE(layers_name(both), layers_name({both[1], both[0]}));
  f.layers.assign(kMaxLayersPerFunction + 1, both[0]);
  EXPECT_EQ(failed(catalogue_->update_function(loop_, f, "")).code, CatalogueError::invalid);
}

TEST_F(CatalogueTest, NamesWhatIsMissingAndWhatIsThereTwice) {
  EXPECT_EQ(failed(catalogue_->create_function(loop_, function("s", "f"))).code, CatalogueError::not_found);
  service_and_function();
  EXPECT_EQ(failed(catalogue_->create_service(loop_, {.name = "s"})).code, CatalogueError::already_exists);
  EXPECT_EQ(failed(catalogue_->create_function(loop_, function("s", "f"))).code, CatalogueError::already_exists);
  EXPECT_EQ(catalogue_->function("s", "", "g").error().message, "function 'g' does not exist");
  EXPECT_EQ(catalogue_->resolve("s", "7", "f", 0).error().message, "version '7' does not exist");
  EXPECT_EQ(failed(catalogue_->delete_trigger(loop_, "s", "f", "t", "")).code, CatalogueError::not_found);
}

TEST_F(CatalogueTest, UpdatesOnlyWhatTheCallerHasRead) {
  service_and_function();
  Function f = *catalogue_->function("s", "", "f");
  std::string read = etag(f);
  f.memory_mb = 256;
  EXPECT_EQ(failed(catalogue_->update_function(loop_, f, "invalid etag")).code, CatalogueError::precondition);
  Function updated = ok(catalogue_->update_function(loop_, f, read));
  EXPECT_NE(etag(updated), read);
  EXPECT_EQ(failed(catalogue_->delete_function(loop_, "s", "f", read)).code, CatalogueError::precondition);
  EXPECT_TRUE(loop_.wait(catalogue_->delete_function(loop_, "s", "f", etag(updated))));
}

TEST_F(CatalogueTest, RefusesToDropWhatIsStillUsed) {
  service_and_function();
  ok(catalogue_->create_trigger(loop_, http("h", "")));
  EXPECT_EQ(failed(catalogue_->delete_service(loop_, "s", "")).code, CatalogueError::conflict);
  EXPECT_EQ(failed(catalogue_->delete_function(loop_, "s", "f", "")).code, CatalogueError::conflict);
  ok(catalogue_->publish(loop_, "s", ""));
  ok(catalogue_->create_alias(loop_, "s", {.name = "a", .version = "1", .additional_weights = {}}));
  EXPECT_EQ(failed(catalogue_->delete_version(loop_, "s", "1")).code, CatalogueError::conflict);
  EXPECT_TRUE(loop_.wait(catalogue_->delete_trigger(loop_, "s", "f", "h", "")));
  EXPECT_TRUE(loop_.wait(catalogue_->delete_function(loop_, "s", "f", "")));
  EXPECT_EQ(failed(catalogue_->delete_service(loop_, "s", "")).code, CatalogueError::conflict);
  EXPECT_TRUE(loop_.wait(catalogue_->delete_alias(loop_, "s", "a", "")));
  EXPECT_EQ(failed(catalogue_->delete_service(loop_, "s", "")).code, CatalogueError::conflict);
  EXPECT_TRUE(loop_.wait(catalogue_->delete_version(loop_, "s", "1")));
  EXPECT_TRUE(loop_.wait(catalogue_->delete_service(loop_, "s", "")));
  EXPECT_TRUE(catalogue_->services({}).items.empty());
}

TEST_F(CatalogueTest, VersionsFreezeTheServiceAndAreNeverReused) {
  service_and_function();
  EXPECT_EQ(ok(catalogue_->publish(loop_, "s", "one")).id, "1");
  EXPECT_EQ(failed(catalogue_->publish(loop_, "s", "again")).code, CatalogueError::conflict);
  Function f = *catalogue_->function("s", "", "f");
  f.environment = {{"A", "1"}};
  ok(catalogue_->update_function(loop_, f, ""));
  EXPECT_TRUE(catalogue_->function("s", "1", "f")->environment.empty());
  EXPECT_EQ(catalogue_->service("s", "1")->description, "one");
  EXPECT_TRUE(loop_.wait(catalogue_->delete_version(loop_, "s", "1")));
  EXPECT_EQ(ok(catalogue_->publish(loop_, "s", "two")).id, "2");
  auto page = catalogue_->versions("s", {}, Order::newest_first);
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_EQ(page->items[0].id, "2");
}

TEST_F(CatalogueTest, OrdersVersionsAsNumbersAndPages) {
  ok(catalogue_->create_service(loop_, {.name = "s"}));
  for (int i = 0; i < 11; ++i) {
    ok(catalogue_->update_service(loop_, {.name = "s", .description = std::to_string(i)}, ""));
    ok(catalogue_->publish(loop_, "s", ""));
  }
  auto first = *catalogue_->versions("s", {.limit = 2}, Order::newest_first);
  EXPECT_EQ(first.items[0].id, "11");
  EXPECT_EQ(first.items[1].id, "10");
  EXPECT_EQ(first.next, "9");
  auto rest = *catalogue_->versions("s", {.start = first.next, .limit = 100}, Order::newest_first);
  EXPECT_EQ(rest.items.size(), 9u);
  EXPECT_EQ(rest.next, "");
  EXPECT_EQ(catalogue_->versions("s", {}, Order::oldest_first)->items[0].id, "1");
}

TEST_F(CatalogueTest, AnAliasSplitsCallsByItsWeights) {
  service_and_function();
  ok(catalogue_->publish(loop_, "s", ""));
  ok(catalogue_->update_service(loop_, {.name = "s", .role = "acs:ram::1:role/r"}, ""));
  ok(catalogue_->publish(loop_, "s", ""));
  ok(catalogue_->create_alias(loop_, "s", {.name = "a", .version = "1", .additional_weights = {{"2", 0.25}}}));
  EXPECT_EQ((*catalogue_->resolve("s", "a", "f", 0.2))->version, "2");
  EXPECT_EQ((*catalogue_->resolve("s", "a", "f", 0.3))->version, "1");
  EXPECT_EQ((*catalogue_->resolve("s", "a", "f", 0.3))->qualifier, "a");
  EXPECT_EQ(failed(catalogue_->create_alias(loop_, "s", {.name = "b", .version = "9", .additional_weights = {}})).code, CatalogueError::not_found);
  EXPECT_EQ(failed(catalogue_->create_alias(loop_, "s", {.name = "LATEST", .version = "1", .additional_weights = {}})).code, CatalogueError::invalid);
}

TEST_F(CatalogueTest, ObjectRulesMustDifferInPrefixOrSuffix) {
  service_and_function();
  ok(catalogue_->create_trigger(loop_, oss("t1", "pre", ".jpg")));
  EXPECT_EQ(failed(catalogue_->create_trigger(loop_, oss("t2", "prefix", "")))  .code, CatalogueError::invalid);
  EXPECT_EQ(failed(catalogue_->create_trigger(loop_, oss("t2", "pre", ".jpg", "oss:ObjectCreated:PutObject"))).code, CatalogueError::invalid);
  ok(catalogue_->create_trigger(loop_, oss("t2", "prefix", ".png")));
  ok(catalogue_->create_trigger(loop_, oss("t3", "other", ".jpg")));
  ok(catalogue_->create_trigger(loop_, oss("t4", "pre", ".jpg", "oss:ObjectRemoved:DeleteObject")));
  EXPECT_EQ(catalogue_->all_triggers("oss").size(), 4u);
  EXPECT_TRUE(loop_.wait(catalogue_->update_trigger(loop_, oss("t1", "pre", ".jpg"), "")));
}

TEST_F(CatalogueTest, AQualifierHasOneHttpTrigger) {
  service_and_function();
  ok(catalogue_->publish(loop_, "s", ""));
  ok(catalogue_->create_trigger(loop_, http("h1", "")));
  EXPECT_EQ(failed(catalogue_->create_trigger(loop_, http("h2", "LATEST"))).code, CatalogueError::conflict);
  ok(catalogue_->create_trigger(loop_, http("h2", "1")));
  EXPECT_EQ(failed(catalogue_->create_trigger(loop_, http("h3", "nowhere"))).code, CatalogueError::not_found);
}

TEST_F(CatalogueTest, ListsInByteOrderWithPrefixAndStart) {
  for (std::string name : {"b", "a2", "a1", "a3"}) ok(catalogue_->create_service(loop_, {.name = name}));
  auto page = catalogue_->services({.prefix = "a", .limit = 2});
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_EQ(page.items[0].name, "a1");
  EXPECT_EQ(page.next, "a3");
  page = catalogue_->services({.prefix = "a", .start = page.next, .limit = 2});
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.next, "");
}

io::Task<void> add_one(Catalogue& catalogue, io::Loop& loop, Function function, int& done) {
  auto made = co_await catalogue.create_function(loop, std::move(function));
  EXPECT_TRUE(made);
  ++done;
}

TEST_F(CatalogueTest, ConcurrentWritersAllSucceedInTurn) {
  ok(catalogue_->create_service(loop_, {.name = "s"}));
  io::TaskGroup group(loop_);
  int done = 0, told = 0;
  catalogue_->on_change([&] { ++told; });
  for (int i = 0; i < 20; ++i) group.spawn(add_one(*catalogue_, loop_, function("s", "f" + std::to_string(i)), done));
  loop_.wait(group.drain());
  EXPECT_EQ(done, 20);
  EXPECT_EQ(told, 20);
  EXPECT_EQ(catalogue_->functions("s", "", {})->items.size(), 20u);
}

TEST_F(CatalogueTest, AnotherProcessOnTheSameStoreIsFencedOff) {
  auto other = make_catalogue(*store_, code_, loop_.clock(), rng_);
  loop_.wait(other->load(loop_));
  ok(catalogue_->create_service(loop_, {.name = "s"}));
  EXPECT_EQ(failed(other->create_service(loop_, {.name = "s2"})).code, CatalogueError::conflict);
}

TEST_F(CatalogueTest, ARevisionChangesWithWhatRuns) {
  service_and_function();
  uint64_t first = (*catalogue_->resolve("s", "", "f", 0))->revision;
  ok(catalogue_->create_function(loop_, function("s", "g")));
  EXPECT_EQ((*catalogue_->resolve("s", "", "f", 0))->revision, first);
  Function f = *catalogue_->function("s", "", "f");
  f.timeout_s = 9;
  ok(catalogue_->update_function(loop_, f, ""));
  EXPECT_NE((*catalogue_->resolve("s", "LATEST", "f", 0))->revision, first);
}

TEST(Validate, SaysWhichFieldBreaksWhichRule) {
  Function f{.service = "s", .name = "f", .runtime = "python3", .handler = "i.h", .code = {"d", "1", 1}};
  EXPECT_TRUE(validate(f));
  f.memory_mb = 7;
  EXPECT_EQ(validate(f).error().message, "memorySize (MB) must be between 16 and 32768, not 7");
  f.memory_mb = 128;
  f.environment = {{"1A", "x"}};
  EXPECT_FALSE(validate(f));
  f.environment = {{"A", std::string(kMaxEnvironmentBytes, 'x')}};
  EXPECT_FALSE(validate(f));
  f.environment.clear();
  f.timeout_s = 0;
  EXPECT_FALSE(validate(f));
  EXPECT_FALSE(validate_name("service", "1abc"));
  EXPECT_FALSE(validate_name("service", std::string(129, 'a')));
  EXPECT_TRUE(validate_name("service", std::string(128, 'a')));
}

}  // namespace
}  // namespace mayfly::functions
