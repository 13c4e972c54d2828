#include "functions/settings.h"

#include <gtest/gtest.h>

#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::functions {
namespace {

TEST(Settings, KeepsDocumentsByKindAndNameAcrossARestart) {
  io::SimLoop loop;
  auto engine = store::make_memory_engine();
  auto store = store::make_inline_store(*engine);
  {
    Settings settings(*store, loop.clock());
    loop.wait(settings.load(loop));
    EXPECT_TRUE(loop.wait(settings.put(loop, "domain", "a.example", {{"x", 1}}, Settings::Mode::create)));
    EXPECT_TRUE(loop.wait(settings.put(loop, "domain", "b.example", {}, Settings::Mode::either)));
    EXPECT_TRUE(loop.wait(settings.put(loop, "tag", "a.example", {}, Settings::Mode::either)));
    auto again = loop.wait(settings.put(loop, "domain", "a.example", {}, Settings::Mode::create));
    EXPECT_EQ(again.error().code, CatalogueError::already_exists);
    auto missing = loop.wait(settings.put(loop, "domain", "c", {}, Settings::Mode::update));
    EXPECT_EQ(missing.error().code, CatalogueError::not_found);
  }
  Settings settings(*store, loop.clock());
  loop.wait(settings.load(loop));
  auto kept = settings.get("domain", "a.example");
  ASSERT_TRUE(kept);
  EXPECT_EQ(to_text(kept->body), R"({"x":1})");
  auto page = settings.list("domain", {.limit = 1});
  EXPECT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.next, "b.example");
  auto stale = loop.wait(settings.put(loop, "domain", "a.example", {}, Settings::Mode::update, "other"));
  EXPECT_EQ(stale.error().code, CatalogueError::precondition);
  EXPECT_TRUE(loop.wait(settings.put(loop, "domain", "a.example", {{"x", 2}}, Settings::Mode::update, etag(*kept))));
  EXPECT_TRUE(loop.wait(settings.erase(loop, "domain", "a.example")));
  EXPECT_EQ(loop.wait(settings.erase(loop, "domain", "a.example")).error().code, CatalogueError::not_found);
  EXPECT_EQ(settings.list("tag", {}).items.size(), 1u);
}

}  // namespace
}  // namespace mayfly::functions
