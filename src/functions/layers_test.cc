#include "functions/layers.h"

#include <gtest/gtest.h>

#include "io/sim_loop.h"
#include "store/memory_engine.h"

namespace mayfly::functions {
namespace {

class LayersTest : public ::testing::Test {
 protected:
  LayersTest() { open(); }
  void open() {
    layers_ = std::make_unique<Layers>(*store_, loop_.clock());
    loop_.wait(layers_->load(loop_));
  }
  LayerVersion publish(const std::string& name, const std::string& digest = "d") {
    auto made = loop_.wait(layers_->publish(loop_, {.name = name, .description = "层", .license = "MIT", .runtimes = {"python3"}, .code = {digest, "1", 10}}));
    EXPECT_TRUE(made) << made.error().message;
    return made ? *made : LayerVersion{};
  }

  io::SimLoop loop_;
  std::unique_ptr<store::Engine> engine_ = store::make_memory_engine();
  std::unique_ptr<store::Store> store_ = store::make_inline_store(*engine_);
  std::unique_ptr<Layers> layers_;
};

TEST_F(LayersTest, VersionsCountUpAndAreKeptAcrossARestart) {
  EXPECT_EQ(publish("a").version, 1);
  EXPECT_EQ(publish("a", "e").version, 2);
  EXPECT_EQ(publish("b").version, 1);
  std::string tag = etag(*layers_->get("a", 2));
  open();
  auto second = layers_->get("a", 2);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->description, "层");
  EXPECT_EQ(second->runtimes, std::vector<std::string>{"python3"});
  EXPECT_EQ(second->code.digest, "e");
  EXPECT_EQ(etag(*second), tag);
  EXPECT_EQ(layers_->package_names(), (std::set<std::string>{"d", "e"}));
  EXPECT_EQ(layers_->totals().versions, 3u);
  EXPECT_EQ(layers_->totals().bytes, 20u) << "the same package twice is there once";
}

TEST_F(LayersTest, NumbersAreNeverUsedAgain) {
  publish("a");
  ASSERT_TRUE(loop_.wait(layers_->erase(loop_, "a", 1)));
  EXPECT_FALSE(layers_->exists("a"));
  EXPECT_EQ(layers_->get("a", 1).error().message, "layer 'a' does not exist");
  EXPECT_TRUE(layers_->list({}).items.empty());
  open();
  EXPECT_EQ(publish("a").version, 2);
  EXPECT_EQ(layers_->get("a", 1).error().message, "version 1 of layer 'a' does not exist");
  EXPECT_EQ(loop_.wait(layers_->erase(loop_, "a", 1)).error().code, CatalogueError::not_found);
}

TEST_F(LayersTest, ListsAreByNameAndVersionsNewestFirst) {
  for (int i = 0; i < 5; ++i) publish("many");
  publish("more");
  publish("other");
  auto page = layers_->list({.prefix = "m", .limit = 1});
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.items[0].version, 5);
  EXPECT_EQ(page.next, "more");
  EXPECT_EQ(layers_->list({.prefix = "m", .start = "more"}).next, "");
  auto first = layers_->versions("many", 0, 2);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->items[0].version, 5);
  EXPECT_EQ(first->next, "3");
  auto last = layers_->versions("many", 2, 100);
  EXPECT_EQ(last->items.size(), 2u);
  EXPECT_EQ(last->next, "");
  EXPECT_FALSE(layers_->versions("none", 0, 1));
}

TEST_F(LayersTest, SharingIsOfAllVersionsAndKept) {
  publish("a");
  publish("a");
  ASSERT_TRUE(loop_.wait(layers_->share(loop_, "a", true)));
  EXPECT_TRUE(layers_->get("a", 1)->is_public);
  open();
  EXPECT_TRUE(layers_->get("a", 2)->is_public);
  EXPECT_TRUE(publish("a").is_public);
  EXPECT_FALSE(loop_.wait(layers_->share(loop_, "none", true)));
}

TEST_F(LayersTest, WhatIsNoLayerIsRefused) {
  auto refusal = [this](LayerVersion draft) {
    auto made = loop_.wait(layers_->publish(loop_, std::move(draft)));
    return made ? std::string() : made.error().message;
  };
  EXPECT_EQ(refusal({.name = "a"}), "a layer needs content");
  EXPECT_NE(refusal({.name = "a b", .code = {"d", "1", 1}}), "");
  EXPECT_NE(refusal({.name = "a", .license = std::string(kMaxLicenseBytes + 1, 'x'), .code = {"d", "1", 1}}), "");
  EXPECT_NE(refusal({.name = "a", .runtimes = std::vector<std::string>(kMaxLayerRuntimes + 1, "r"), .code = {"d", "1", 1}}), "");
}

TEST_F(LayersTest, AnotherProcessOnTheSameStoreLoses) {
  publish("a");
  Layers other(*store_, loop_.clock());
  loop_.wait(other.load(loop_));
  publish("a");
  auto late = loop_.wait(other.publish(loop_, {.name = "a", .code = {"d", "1", 10}}));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, CatalogueError::conflict);
}

}  // namespace
}  // namespace mayfly::functions
