#include "functions/egress.h"

#include <gtest/gtest.h>

namespace mayfly::functions {
namespace {

TEST(Egress, IsGrantedByHostAndPort) {
  EXPECT_EQ(*parse_egress("DB.Example.com:5432"), (EgressRule{"db.example.com", 5432}));
  EXPECT_EQ(*parse_egress("10.0.0.5:443"), (EgressRule{"10.0.0.5", 443}));
  EXPECT_EQ(*parse_egress("localhost:1"), (EgressRule{"localhost", 1}));
}

TEST(Egress, ARuleThatCannotBeHeldIsRefused) {
  for (std::string_view bad : {"", "host", "host:", "host:0", "host:65536", "host:80x", ":80", "*.example.com:443", "[::1]:80", "a b:80", "host:53", "169.254.169.254:80",
                               "100.100.100.200:80", "168.63.129.16:80", "localhost:80", "127.0.0.1:443"}) {
    auto rule = parse_egress(bad);
    ASSERT_FALSE(rule) << bad;
    EXPECT_EQ(rule.error().code, CatalogueError::invalid) << bad;
    EXPECT_FALSE(rule.error().message.empty());
  }
}

TEST(Egress, ListsAreBoundedAndWithoutRepeats) {
  EXPECT_EQ(parse_egress(std::vector<std::string>{"a:1", "A:1", "a:2"})->size(), 2u);
  EXPECT_FALSE(parse_egress(std::vector<std::string>(kMaxEgressRules + 1, "a:1")));
}

TEST(Egress, KnowsTheAddressesThatNobodyReaches) {
  for (std::string_view each : {"169.254.169.254", "169.254.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
                                "64:ff9b::100.100.100.200", "fe80::1", "febf::1", "fe80::a9fe:a9fe%eth0", "fe80::1%2", "fd00:ec2::254", "fd00:ec2::23", "fd00:ec2:1::1",
                                "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"}) {
    EXPECT_TRUE(is_metadata_address(each)) << each;
    EXPECT_FALSE(may_reach({"db.example.com", 80}, each)) << each;
    EXPECT_FALSE(may_reach({"localhost", 80}, each)) << each;
  }
  for (std::string_view each : {"10.0.0.1", "8.8.8.8", "169.253.0.1", "100.100.100.201", "64:ff9b::8.8.8.8", "64:ff9c::a9fe:a9fe",
                                "2001:db8::1", "fec0::1", "fd00:ec3::254", "fd20:ce::253"}) {
    EXPECT_FALSE(is_metadata_address(each)) << each;
    EXPECT_TRUE(may_reach({"db.example.com", 80}, each)) << each;
  }
}

TEST(Egress, LeadsToThisMachineOnlyWhenThatWasGrantedByItsName) {
  for (std::string_view each : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1%lo"}) {
    EXPECT_TRUE(is_loopback_address(each)) << each;
    for (const char* host : {"db.example.com", "10.0.0.1", "2130706433"}) EXPECT_FALSE(may_reach({host, 5432}, each)) << host << " " << each;
    for (const char* host : {"localhost", "127.0.0.1", "127.0.0.2"}) EXPECT_TRUE(may_reach({host, 5432}, each)) << host << " " << each;
  }
  for (std::string_view each : {"128.0.0.1", "::2", "10.0.0.1", ""}) EXPECT_FALSE(is_loopback_address(each)) << each;
}

TEST(Egress, LeadsNowhereByWhatIsNoAddress) {
  for (std::string_view each : {"", "no address", "127.1", "2852039166", "0xa9.0xfe.0xa9.0xfe", "%eth0", "fe80::1::2"}) {
    EXPECT_FALSE(may_reach({"db.example.com", 80}, each)) << each;
    EXPECT_FALSE(may_reach({"localhost", 80}, each)) << each;
  }
}

}  // namespace
}  // namespace mayfly::functions
