#include <gtest/gtest.h>
#include <linux/filter.h>

#include "sandbox/etc.h"
#include "sandbox/plan.h"
#include "sandbox/seccomp.h"

namespace mayfly::sandbox {
namespace {

TEST(Plan, SurvivesItsWayToInit) {
  Plan plan{.isolation = Isolation::none,
            .hostname = "detect",
            .binds = {{"/a \"b\"", "/c"}, {"/d", "/e", true}},
            .files = {{"/etc/hosts", "line\nline\n"}},
            .doors = {80, 443},
            .dns_door = true,
            .confined = true,
            .frames = true,
            .tmp_bytes = 1,
            .command = {"/usr/bin/python3", "-S"},
            .environment = {"A=b=c"},
            .folder = "/code",
            .open_files = 9,
            .processes = 8};
  EXPECT_EQ(plan_from_value(to_value(plan)), plan);
}

TEST(Etc, LeadsTheVendorsHostNamesToTheLoopback) {
  std::string hosts = etc_files({.account = "123", .region = "cn-hangzhou", .hostname = "detect"})["/etc/hosts"];
  for (const char* name : {"cn-hangzhou-internal.fnf", "cn-hangzhou.fnf", "123.cn-hangzhou.fnf", "123.cn-hangzhou.fc", "123.cn-hangzhou-internal.fc", "oss-cn-hangzhou",
                           "oss-cn-hangzhou-internal", "oss-accelerate", "sts", "sts.cn-hangzhou", "ram", "123.mns.cn-hangzhou"}) {
    EXPECT_NE(hosts.find(std::string("127.0.0.1 ") + name + ".aliyuncs.com\n"), std::string::npos) << name;
  }
}

TEST(Etc, KnowsWhichHostNamesAreTheVendors) {
  EXPECT_TRUE(is_cloud_host("photos.oss-cn-hangzhou.aliyuncs.com"));
  EXPECT_TRUE(is_cloud_host("STS.AliyunCS.com."));
  EXPECT_FALSE(is_cloud_host("example.com"));
  EXPECT_FALSE(is_cloud_host("notaliyuncs.com"));
  EXPECT_FALSE(is_cloud_host(""));
}

TEST(Seccomp, IsAProgramTheKernelTakes) {
  std::string program = seccomp_program();
  EXPECT_EQ(program.size() % sizeof(sock_filter), 0u);
  EXPECT_LE(program.size() / sizeof(sock_filter), size_t{BPF_MAXINSNS});
}

}  // namespace
}  // namespace mayfly::sandbox
