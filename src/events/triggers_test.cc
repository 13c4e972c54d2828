#include "events/triggers.h"

#include <gtest/gtest.h>

namespace mayfly::events {
namespace {

functions::Trigger oss_trigger() {
  functions::Trigger trigger{.service = "s", .function = "f", .name = "t", .type = "oss", .source_arn = "acs:oss:cn-hangzhou:1234:photos"};
  trigger.config = parse_json(R"({"events":["oss:ObjectCreated:*"],"Filter":{"key":{"Prefix":"in/","suffix":".jpg"}}})")->as_object();
  return trigger;
}

TEST(OssRule, MatchesBucketEventPrefixAndSuffix) {
  OssRule rule = oss_rule(oss_trigger());
  EXPECT_TRUE(matches(rule, "ObjectCreated:PutObject", "photos", "in/a.jpg"));
  EXPECT_FALSE(matches(rule, "ObjectCreated:PutObject", "other", "in/a.jpg"));
  EXPECT_FALSE(matches(rule, "ObjectCreated:PutObject", "photos", "out/a.jpg"));
  EXPECT_FALSE(matches(rule, "ObjectCreated:PutObject", "photos", "in/a.png"));
  EXPECT_FALSE(matches(rule, "ObjectRemoved:DeleteObject", "photos", "in/a.jpg"));
  rule.events = {"oss:ObjectRemoved:DeleteObject"};
  EXPECT_TRUE(matches(rule, "ObjectRemoved:DeleteObject", "photos", "in/a.jpg"));
}

TEST(OssEvent, CarriesTheVendorsRecord) {
  objects::Change change;
  change.object.bucket = "photos";
  change.object.key = "in/a b.jpg";
  change.object.size = 10;
  change.object.etag = "ABC";
  change.object.content_type = "image/jpeg";
  change.previous_size = 4;
  auto event = parse_json(oss_event(oss_rule(oss_trigger()), change, "1234", "cn-hangzhou", 1'795'168'800'123'456));
  ASSERT_TRUE(event);
  const json::value& record = event->at("events").at(0);
  EXPECT_EQ(string_or(record, "eventName"), "ObjectCreated:PutObject");
  EXPECT_EQ(string_or(record, "eventTime"), "2026-11-20T10:00:00.000Z");
  EXPECT_EQ(string_or(record.at("oss").at("bucket"), "arn"), "acs:oss:cn-hangzhou:1234:photos");
  EXPECT_EQ(string_or(record.at("oss").at("object"), "key"), "in/a b.jpg");
  EXPECT_EQ(int_or(record.at("oss").at("object"), "deltaSize"), 6);
}

TEST(TimerEvent, KeepsThePayloadAsText) {
  EXPECT_EQ(timer_event("tick", R"({"a":"\"b\""})", 1'795'168'800'000'000), R"({"triggerTime":"2026-11-20T10:00:00Z","triggerName":"tick","payload":"{\"a\":\"\\\"b\\\"\"}"})");
}

}  // namespace
}  // namespace mayfly::events
