#include "cli/deploy/ignore.h"

#include <gtest/gtest.h>

namespace mayfly::cli {
namespace {

constexpr auto kFile = IgnoreRules::Entry::file;
constexpr auto kFolder = IgnoreRules::Entry::folder;

TEST(Ignore, MatchesANameAtAnyDepthAndAPathOnlyFromTheTop) {
  IgnoreRules rules("*.log\n/build\nsrc/*.tmp\n");
  EXPECT_TRUE(rules.ignores("a/b/x.log", kFile));
  EXPECT_TRUE(rules.ignores("build", kFolder));
  EXPECT_FALSE(rules.ignores("a/build", kFolder));
  EXPECT_TRUE(rules.ignores("src/x.tmp", kFile));
  EXPECT_FALSE(rules.ignores("src/a/x.tmp", kFile));
  EXPECT_FALSE(rules.ignores("x/src/x.tmp", kFile));
}

TEST(Ignore, TakesFolderRulesForFoldersOnly) {
  IgnoreRules rules("out/\n");
  EXPECT_TRUE(rules.ignores("a/out", kFolder));
  EXPECT_FALSE(rules.ignores("a/out", kFile));
}

TEST(Ignore, LetsALaterRuleWinAndSkipsComments) {
  IgnoreRules rules("# logs\n*.log\r\n!keep.log\n\\#real\n");
  EXPECT_TRUE(rules.ignores("x.log", kFile));
  EXPECT_FALSE(rules.ignores("keep.log", kFile));
  EXPECT_TRUE(rules.ignores("#real", kFile));
  EXPECT_FALSE(rules.ignores("# logs", kFile));
}

TEST(Ignore, FollowsDoubleStars) {
  IgnoreRules rules("functions/**/event.dat\n**/cache\ndata/**\n");
  EXPECT_TRUE(rules.ignores("functions/event.dat", kFile));
  EXPECT_TRUE(rules.ignores("functions/a/b/event.dat", kFile));
  EXPECT_FALSE(rules.ignores("other/functions/event.dat", kFile));
  EXPECT_TRUE(rules.ignores("cache", kFolder));
  EXPECT_TRUE(rules.ignores("a/cache", kFolder));
  EXPECT_TRUE(rules.ignores("data/x/y", kFile));
}

TEST(Ignore, MatchesClassesAndEscapes) {
  EXPECT_TRUE(wildcard_matches("a[0-9]b", "a5b"));
  EXPECT_FALSE(wildcard_matches("a[!0-9]b", "a5b"));
  EXPECT_TRUE(wildcard_matches("a\\*b", "a*b"));
  EXPECT_FALSE(wildcard_matches("a\\*b", "axb"));
  EXPECT_FALSE(wildcard_matches("a?b", "a/b"));
  EXPECT_FALSE(wildcard_matches("a[/]b", "a/b"));
  EXPECT_TRUE(wildcard_matches("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(wildcard_matches("[", "x"));
}

}  // namespace
}  // namespace mayfly::cli
