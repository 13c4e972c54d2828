// Layers on the command line's side: what is installed, how it is named, cached and packed, and how functions get it. pip, npm and mvn are
// played by a fake that leaves files behind.

#include <gtest/gtest.h>
#include <unistd.h>
#include <utime.h>

#include <filesystem>

#include "cli/deploy/fake_server.h"
#include "cli/deploy/plan.h"
#include "cli/layers/install.h"
#include "cli/layers/publish.h"
#include "sys/file.h"

namespace mayfly::cli {
namespace {

namespace fs = std::filesystem;

class FakePrograms final : public Programs {
 public:
  std::string find(const std::string& name) override { return absent.contains(name) ? "" : "/usr/bin/" + name; }
  int run(const std::string& folder, const std::vector<std::string>& command, const std::vector<std::string>&) override {
    std::string line;
    for (const std::string& word : command) line += (line.empty() ? "" : " ") + fs::path(word).filename().string();
    if (line.ends_with("-c import pip")) return absent.contains("pip") ? 1 : 0;
    ran.push_back(line);
    if (exit_code != 0 || leaves_nothing) return exit_code;
    auto target = std::find(command.begin(), command.end(), "--target");
    if (target != command.end()) {
      leave(*(target + 1) + "/small/__init__.py", "x = 1");
      leave(*(target + 1) + "/small/__pycache__/__init__.pyc", std::to_string(ran.size()));
    } else if (line.starts_with("npm")) {
      package_json = sys::read_file(folder + "/package.json");
      leave(folder + "/node_modules/small/index.js", "exports.x = 1");
      leave(folder + "/node_modules/.package-lock.json", std::to_string(ran.size()));
    } else {
      leave(command.back().substr(command.back().find('=') + 1) + "/small.jar", "jar");
    }
    return 0;
  }
  static void leave(const std::string& path, const std::string& text) {
    sys::make_folders(fs::path(path).parent_path());
    sys::write_file(path, text);
  }

  std::set<std::string> absent;
  std::vector<std::string> ran;
  std::string package_json;
  int exit_code = 0;
  bool leaves_nothing = false;
};

struct CliLayers : testing::Test {
  CliLayers() {
    std::string pattern = testing::TempDir() + "mayfly-layers-XXXXXX";
    folder = mkdtemp(pattern.data());
    sys::make_folders(project());
  }
  ~CliLayers() override { sys::remove_tree(folder); }
  std::string project() const { return folder + "/project"; }
  void write(const std::string& name, std::string_view text) { FakePrograms::leave(project() + "/" + name, std::string(text)); }
  Result<std::optional<BuiltLayer>> build_if_any(const std::string& runtime = {}, bool use_cache = true) {
    MAYFLY_TRY(auto manifests, find_manifests(project(), runtime));
    return build_layer({.programs = programs, .cache_folder = folder + "/cache", .use_cache = use_cache}, manifests);
  }
  Result<BuiltLayer> build(const std::string& runtime = {}, bool use_cache = true) {
    MAYFLY_TRY(auto built, build_if_any(runtime, use_cache));
    if (!built) return fail(Kind::usage, "nothing to install");
    return std::move(*built);
  }
  bool finds_nothing(const std::string& runtime = {}) {
    auto built = build_if_any(runtime);
    EXPECT_TRUE(built) << built.error().message;
    return built && !*built;
  }
  std::vector<std::string> names(const std::string& zip) {
    std::string out = folder + "/list";
    EXPECT_EQ(::system(fmt::format("unzip -Z1 {} | sort > {}", zip, out).c_str()), 0);
    std::string text = sys::read_file(out);
    std::vector<std::string> lines;
    for (size_t from = 0, to; (to = text.find('\n', from)) != std::string::npos; from = to + 1) lines.push_back(text.substr(from, to - from));
    return lines;
  }

  std::string folder;
  FakePrograms programs;
  FakeServer server;
  ManualClock clock;
  SeededRng rng{1};
  ApiClient client{server, {{"AK", "SK", "", 0}, "1234"}, "cn-hangzhou", clock, rng};
  Progress progress{false};
};

TEST_F(CliLayers, EveryLanguageGoesWhereItsRuntimeLooks) {
  write("requirements.txt", "small==1\n");
  write("package.json", R"({"dependencies":{"small":"1"},"scripts":{"postinstall":"./build"}})");
  write("pom.xml", "<project/>");
  auto built = build();
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_EQ(names(built->file.path), (std::vector<std::string>{"java/lib/small.jar", "nodejs/node_modules/small/index.js", "python/small/__init__.py"}));
  EXPECT_EQ(built->runtimes, (std::vector<std::string>{"python3", "nodejs", "java11"}));
  EXPECT_EQ(programs.package_json, R"({"dependencies":{"small":"1"}})");
  EXPECT_TRUE(programs.ran.at(1).starts_with("npm install"));
  EXPECT_EQ(build("python3.9")->runtimes, std::vector<std::string>{"python3"});
}

TEST_F(CliLayers, TheSameInputGivesTheSameDigestAndCostsNothingAgain) {
  write("requirements.txt", "small==1\n");
  auto first = build(), again = build();
  ASSERT_TRUE(first && again);
  EXPECT_EQ(programs.ran.size(), 1u);
  EXPECT_FALSE(first->cached);
  EXPECT_TRUE(again->cached);
  auto anew = build("", false);
  ASSERT_TRUE(anew);
  EXPECT_EQ(programs.ran.size(), 2u);
  EXPECT_EQ(anew->file.digest, first->file.digest) << "what differs from run to run is left out";
  EXPECT_EQ(again->file.checksum, first->file.checksum);
  write("requirements.txt", "small==2\n");
  EXPECT_FALSE(build()->cached);
}

TEST_F(CliLayers, WhatAManifestIncludesCounts) {
  write("requirements.txt", "-r more.txt\n--constraint=limits.txt\n");
  write("more.txt", "small\n");
  write("limits.txt", "small<2\n");
  ASSERT_TRUE(build());
  write("limits.txt", "small<3\n");
  EXPECT_FALSE(build()->cached);
  write("package.json", R"({"dependencies":{"small":"1"}})");
  ASSERT_TRUE(build("nodejs"));
  write("package-lock.json", "{}");
  EXPECT_FALSE(build("nodejs")->cached);
  EXPECT_TRUE(programs.ran.back().starts_with("npm ci"));
  write("requirements.txt", "-r none.txt\n");
  EXPECT_EQ(build().error().code.kind, Kind::usage);
}

TEST_F(CliLayers, CommentsBehindAnIncludeAreNotOfItsName) {
  write("requirements.txt", "-r base.txt  # shared\n-c limits.txt\t#too\nsmall@git+https://example.com/x#egg=small\n");
  write("base.txt", "# nothing yet\n");
  write("limits.txt", "small<2\n");
  auto found = find_manifests(project(), "");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->at(0).files.size(), 3u);
  EXPECT_TRUE(found->at(0).has_key);
}

TEST_F(CliLayers, AnIncludeByUrlIsLeftToPipAndHasNoKey) {
  write("requirements.txt", "small\n-c https://example.com/limits.txt\n");
  auto first = build();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_FALSE(build()->cached);
  write("requirements.txt", "--requirement https://example.com/all.txt\n");
  EXPECT_TRUE(build()) << "what it names is not known here";
}

TEST_F(CliLayers, AManifestThatNamesNothingIsSkipped) {
  programs.absent = {"pip", "npm"};
  for (const char* text : {"", "\n# none\n", "--index-url https://example.com/simple\n", "-r empty.txt\n"}) {
    write("empty.txt", "");
    write("requirements.txt", text);
    EXPECT_TRUE(finds_nothing("python3")) << text;
  }
  for (const char* text : {R"({"type":"module"})", R"({"devDependencies":{"small":"1"},"dependencies":{}})"}) {
    write("package.json", text);
    EXPECT_TRUE(finds_nothing()) << text;
  }
  programs.absent.clear();
  write("requirements.txt", "small\n");
  auto built = build();
  ASSERT_TRUE(built) << built.error().message;
  EXPECT_EQ(built->sources, std::vector<std::string>{"requirements.txt"});
  EXPECT_EQ(programs.ran.size(), 1u);
}

TEST_F(CliLayers, WhatComesToNothingOnThisMachineIsNoFailure) {
  write("requirements.txt", "small; sys_platform == 'win32'\n");
  write("package.json", R"({"optionalDependencies":{"small":"1"}})");
  write("pom.xml", "<project/>");
  programs.leaves_nothing = true;
  EXPECT_TRUE(finds_nothing());
  EXPECT_EQ(programs.ran.size(), 3u);
}

TEST_F(CliLayers, WhatLiesOnThisMachineIsNeverCached) {
  write("requirements.txt", "./mine\n");
  ASSERT_TRUE(build());
  EXPECT_FALSE(build()->cached);
  write("package.json", R"({"dependencies":{"mine":"file:../mine"}})");
  auto refused = build("nodejs");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("the dependency mine is file:../mine"), std::string::npos);
}

TEST_F(CliLayers, AMissingOrFailingToolIsNamed) {
  write("requirements.txt", "small\n");
  programs.absent = {"pip"};
  EXPECT_EQ(build().error().hint, "apt-get install python3-pip");
  programs.absent.clear();
  programs.exit_code = 7;
  EXPECT_NE(build().error().message.find("(exit 7)"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder + "/cache"));
  write("package.json", R"({"dependencies":{"small":"1"}})");
  programs.absent = {"npm"};
  EXPECT_EQ(build("nodejs").error().hint, "apt-get install npm");
  write("pom.xml", "<project/>");
  programs.absent = {"mvn"};
  EXPECT_EQ(build("java11").error().hint, "apt-get install maven");
}

TEST_F(CliLayers, TwoThatPackTheSameDoNotWriteTheSameFile) {
  write("a.txt", "1");
  std::string zip = folder + "/layer.zip", others = zip + ".part";
  sys::write_file(others, "half of it");
  ASSERT_TRUE(pack_layer(project(), zip));
  EXPECT_EQ(sys::read_file(others), "half of it");
  EXPECT_EQ(names(zip), std::vector<std::string>{"a.txt"});
}

TEST_F(CliLayers, WhatAKilledProcessLeftHalfMadeGoesAfterADay) {
  write("requirements.txt", "small\n");
  std::string cache = folder + "/cache";
  struct utimbuf long_ago {1, 1};
  for (const char* name : {"old.zip.part", "build-old/x", "new.zip.part", "build-new/x"}) FakePrograms::leave(cache + "/" + name, "x");
  for (const char* name : {"/old.zip.part", "/build-old"}) ASSERT_EQ(::utime((cache + name).c_str(), &long_ago), 0);
  ASSERT_TRUE(build());
  for (const char* name : {"/old.zip.part", "/build-old"}) EXPECT_FALSE(sys::exists(cache + name)) << name;
  for (const char* name : {"/new.zip.part", "/build-new"}) EXPECT_TRUE(sys::exists(cache + name)) << name;
}

TEST_F(CliLayers, PublishingTheSameContentMakesNoVersion) {
  write("a.txt", "1");
  auto file = pack_layer(project(), folder + "/layer.zip");
  ASSERT_TRUE(file);
  auto first = publish_layer(client, {"l", "d", {"python3"}, *file}, progress);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->fresh);
  EXPECT_EQ(first->version, 1);
  auto again = publish_layer(client, {"l", "d", {"python3"}, *read_layer(folder + "/layer.zip")}, progress);
  EXPECT_FALSE(again->fresh);
  EXPECT_EQ(again->arn, first->arn);
  write("a.txt", "2");
  EXPECT_EQ(publish_layer(client, {"l", "d", {}, *pack_layer(project(), folder + "/layer.zip")}, progress)->version, 2);
}

TEST_F(CliLayers, AFunctionKeepsItsOtherLayersAndTheirOrder) {
  json::array layers{"acs:fc:r:1:layers/a/versions/1", "acs:fc:r:1:layers/b/versions/1"};
  EXPECT_EQ(with_layer(layers, "acs:fc:x:2:layers/a/versions/3"), (json::array{"acs:fc:x:2:layers/a/versions/3", "acs:fc:r:1:layers/b/versions/1"}));
  EXPECT_EQ(with_layer(layers, "acs:fc:r:1:layers/c/versions/1").size(), 3u);
  server.resources["/services/s/functions/f"] = json::object{{"layers", layers}};
  EXPECT_TRUE(*give_layer(client, {"s", "f"}, "acs:fc:r:1:layers/b/versions/2"));
  EXPECT_FALSE(*give_layer(client, {"s", "f"}, "acs:fc:r:1:layers/b/versions/2"));
  EXPECT_EQ(layer_name_of("my project"), "my-project-deps");
  EXPECT_EQ(layer_name_of("2048"), "l2048-deps");
}

TEST_F(CliLayers, DeployPublishesWhatAFunctionDependsOnOnce) {
  write("code/index.py", "x = 1");
  write("code/requirements.txt", "small==1\n");
  write("template.yml", R"(
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  svc:
    Type: 'Aliyun::Serverless::Service'
    fn:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: code, Layers: ['acs:fc:r:1234:layers/mine/versions/1']}
)");
  PlanOptions options{.dependencies = [this](const std::string& where, const std::string& runtime) -> Result<std::optional<BuiltLayer>> {
    MAYFLY_TRY(auto manifests, find_manifests(where, runtime));
    return build_layer({.programs = programs, .cache_folder = folder + "/cache"}, manifests);
  }};
  auto wanted = load_template(project(), "", {});
  ASSERT_TRUE(wanted) << wanted.error().message;
  auto plan = make_plan(client, *wanted, options);
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_TRUE(apply(client, *plan, [](const Step&) {}));
  EXPECT_EQ(server.writes, (std::vector<std::string>{"POST /services", "POST /layers/svc-fn-deps/versions", "POST /services/svc/functions"}));
  EXPECT_EQ(*find(server.resources["/services/svc/functions/fn"], "layers"),
            (json::array{"acs:fc:r:1234:layers/mine/versions/1", "acs:fc:r:1234:layers/svc-fn-deps/versions/1"}));
  auto second = make_plan(client, *wanted, options);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->changes_something()) << plan_text(*second);
}

}  // namespace
}  // namespace mayfly::cli
