// The small pure parts of the command line: tables, names of objects, event samples, the vendor's host names.

#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/cloud_view.h"
#include "cli/commands.h"
#include "cli/object_path.h"
#include "cli/samples.h"
#include "cli/table.h"

namespace mayfly::cli {
namespace {

TEST(Table, AlignsColumnsByCharactersNotBytes) {
  Table table({"name", "size"});
  table.add({"ü", "1"});
  table.add({"longer", "2"});
  EXPECT_EQ(table.text(2), "  NAME    SIZE\n  ü       1\n  longer  2\n");
}

TEST(Table, WritesSizesInBinaryUnits) {
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(5ull << 40), "5.0 TiB");
  EXPECT_EQ(size_text(5000ull << 40), "5000.0 TiB");
}

TEST(ObjectPath, KnowsBothSchemesAndTakesTheRestAsLocal) {
  auto remote = parse_object_path("mayfly://b/a/b c.jpg");
  ASSERT_TRUE(remote && remote->remote);
  EXPECT_EQ(remote->bucket, "b");
  EXPECT_EQ(remote->key, "a/b c.jpg");
  auto bucket = parse_object_path("oss://b");
  ASSERT_TRUE(bucket && bucket->remote);
  EXPECT_EQ(bucket->key, "");
  auto local = parse_object_path("./oss/file");
  ASSERT_TRUE(local);
  EXPECT_FALSE(local->remote);
  EXPECT_FALSE(parse_object_path("mayfly:///key"));
  EXPECT_FALSE(parse_remote_path("./file", Needs::bucket));
  EXPECT_FALSE(parse_remote_path("oss://b", Needs::key));
}

TEST(ObjectPath, GuessesMediaTypesByExtension) {
  EXPECT_EQ(media_type("a/B.JPG"), "image/jpeg");
  EXPECT_EQ(media_type("noextension"), "application/octet-stream");
}

TEST(FunctionNames, NeedExactlyOneSlash) {
  auto name = parse_function_name("my-svc.prod/fn");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->service, "my-svc.prod");
  EXPECT_EQ(name->function, "fn");
  for (const char* bad : {"fn", "/fn", "svc/", "a/b/c"}) EXPECT_FALSE(parse_function_name(bad)) << bad;
}

TEST(Samples, LookLikeWhatTheTriggersSend) {
  SampleChoice choice{.kind = "oss", .bucket = "b", .key = "k.jpg", .payload = "p", .region = "r", .account = "1", .wall_us = 1'795'168'800'000'000};
  auto oss = parse_json(*sample_event(choice));
  ASSERT_TRUE(oss);
  const json::value& record = oss->at("events").at(0);
  EXPECT_EQ(string_or(record, "eventTime"), "2026-11-20T10:00:00.000Z");
  EXPECT_EQ(string_or(record.at("oss").at("object"), "key"), "k.jpg");
  choice.kind = "timer";
  EXPECT_EQ(*sample_event(choice), R"({"triggerTime":"2026-11-20T10:00:00Z","triggerName":"sample","payload":"p"})");
  choice.kind = "mns";
  EXPECT_EQ(string_or(*parse_json(*sample_event(choice)), "Message"), "p");
  choice.kind = "http";
  EXPECT_EQ(string_or(*parse_json(*sample_event(choice)), "body"), "p");
  choice.kind = "fax";
  EXPECT_FALSE(sample_event(choice));
}

TEST(CloudView, NamesEveryHostTheVendorsToolsAskFor) {
  auto names = vendor_names("cn-hangzhou", "1234", {"photos"});
  for (const char* name : {"ram.aliyuncs.com", "sts.cn-hangzhou.aliyuncs.com", "1234.cn-hangzhou.fnf.aliyuncs.com", "cn-hangzhou-internal.fnf.aliyuncs.com",
                           "1234.cn-hangzhou.fc.aliyuncs.com", "oss-cn-hangzhou.aliyuncs.com", "photos.oss-cn-hangzhou-internal.aliyuncs.com",
                           "photos.oss-accelerate.aliyuncs.com", "mayfly-packages-1234.oss-cn-hangzhou.aliyuncs.com"})
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
}

}  // namespace
}  // namespace mayfly::cli
