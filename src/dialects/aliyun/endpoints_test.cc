#include "dialects/aliyun/endpoints.h"

#include <gtest/gtest.h>

namespace mayfly::dialects::aliyun {
namespace {

http::Request make(std::string method, std::string host, std::string target, std::string type = "", std::string action = "") {
  http::Request request;
  request.method = std::move(method);
  request.host = std::move(host);
  request.raw_path = target.substr(0, target.find('?'));
  if (target.contains('?')) request.raw_query = target.substr(target.find('?') + 1);
  if (!type.empty()) request.headers.add("content-type", type);
  if (!action.empty()) request.headers.add("x-acs-action", action);
  return request;
}

TEST(Endpoints, KnowsTheVendorsHostNames) {
  EXPECT_EQ(vendor_host("cn-hangzhou.fnf.aliyuncs.com"), "fnf");
  EXPECT_EQ(vendor_host("cn-hangzhou-internal.fnf.aliyuncs.com:80"), "fnf");
  EXPECT_EQ(vendor_host("1234567890.cn-hangzhou.fnf.aliyuncs.com"), "fnf");
  EXPECT_EQ(vendor_host("1234.cn-shanghai-internal.fc.aliyuncs.com"), "fc");
  EXPECT_EQ(vendor_host("sts.aliyuncs.com"), "sts");
  EXPECT_EQ(vendor_host("STS.cn-hangzhou.aliyuncs.com"), "sts");
  EXPECT_EQ(vendor_host("ram.aliyuncs.com:443"), "ram");
  EXPECT_EQ(vendor_host("1234.mns.cn-hangzhou.aliyuncs.com"), "mns");
  EXPECT_EQ(vendor_host("project.cn-hangzhou.log.aliyuncs.com"), "log");
  EXPECT_EQ(vendor_host("oss-accelerate.aliyuncs.com"), "oss");
  EXPECT_EQ(vendor_host("bkt.oss-cn-hangzhou-internal.aliyuncs.com"), "oss");
  for (const char* host : {"127.0.0.1:9000", "localhost", "", "fc.example.com", "aliyuncs.com", "[::1]:80", "ecs.aliyuncs.com"})
    EXPECT_EQ(vendor_host(host), "") << host;
}

TEST(Endpoints, ReadsTheBucketOfAnOssHost) {
  EXPECT_EQ(oss_host_bucket("bkt.oss-cn-hangzhou.aliyuncs.com:80"), "bkt");
  EXPECT_EQ(oss_host_bucket("oss-cn-hangzhou.aliyuncs.com"), "");
  EXPECT_EQ(oss_host_bucket(".oss-cn-hangzhou.aliyuncs.com"), "");
  EXPECT_EQ(oss_host_bucket("oss-bkt.oss-accelerate.aliyuncs.com"), "oss-bkt");
  EXPECT_EQ(oss_host_bucket("127.0.0.1:9000"), std::nullopt);
  EXPECT_EQ(oss_host_bucket("sts.aliyuncs.com"), std::nullopt);
}

TEST(Endpoints, OnThePlainPortThePathAndTheParametersDecide) {
  EXPECT_EQ(product_of(make("GET", "127.0.0.1", "/2016-08-15/services")), Product::fc);
  EXPECT_EQ(product_of(make("GET", "127.0.0.1:9000", "/2023-03-30/functions", "", "ListFunctions")), Product::fc);
  EXPECT_EQ(product_of(make("GET", "h", "/2016-08-15x/services")), Product::oss);
  EXPECT_EQ(product_of(make("GET", "h", "/?Action=ListFlows&Version=2019-03-15")), Product::rpc);
  EXPECT_EQ(product_of(make("POST", "h", "/", "application/x-www-form-urlencoded")), Product::rpc);
  EXPECT_EQ(product_of(make("POST", "h", "/", "", "AssumeRole")), Product::rpc);
  EXPECT_EQ(product_of(make("GET", "h", "/")), Product::oss) << "ListBuckets";
  EXPECT_EQ(product_of(make("GET", "h", "/bkt/k?Action=x")), Product::oss);
  EXPECT_EQ(product_of(make("POST", "h", "/bkt?delete=", "application/x-www-form-urlencoded")), Product::oss);
  EXPECT_EQ(product_of(make("PUT", "h", "/bkt/k", "application/x-www-form-urlencoded")), Product::oss);
}

TEST(Endpoints, AVendorsHostNameDecidesFirst) {
  EXPECT_EQ(product_of(make("GET", "oss-cn-hangzhou.aliyuncs.com", "/2016-08-15/photo.jpg")), Product::oss);
  EXPECT_EQ(product_of(make("POST", "bkt.oss-cn-hangzhou.aliyuncs.com", "/", "multipart/form-data; boundary=x")), Product::oss);
  EXPECT_EQ(product_of(make("POST", "cn-hangzhou.fnf.aliyuncs.com", "/")), Product::rpc);
  EXPECT_EQ(product_of(make("GET", "ram.aliyuncs.com", "/?Action=GetRole")), Product::rpc);
  EXPECT_EQ(product_of(make("GET", "1234.cn-hangzhou.fc.aliyuncs.com", "/2016-08-15/proxy/s/f/")), Product::fc);
}

}  // namespace
}  // namespace mayfly::dialects::aliyun
