#include "runtime/layer_paths.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sys/file.h"

namespace mayfly::runtime {
namespace {

class LayerPaths : public ::testing::Test {
 protected:
  LayerPaths() {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-layers-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    runnable_.layers_path = folder_;
  }
  ~LayerPaths() override { sys::remove_tree(folder_); }
  void make(std::initializer_list<const char*> folders) {
    for (const char* each : folders) sys::make_folders(folder_ + "/" + each);
  }
  Environment paths(Contract contract, Environment environment = {}) {
    add_layer_paths(runnable_, {std::string(code_folder(contract)), "/opt", "", ""}, contract, environment);
    return environment;
  }

  std::string folder_;
  functions::Runnable runnable_;
};

TEST_F(LayerPaths, NameOnlyWhatTheLayersHave) {
  EXPECT_TRUE(paths(Contract::fc).empty());
  make({"python"});
  EXPECT_EQ(paths(Contract::fc), (Environment{{"PYTHONPATH", "/opt/python"}}));
  make({"nodejs/node_modules", "lib", "bin", "java/lib"});
  EXPECT_EQ(paths(Contract::fc, {{"PATH", "/usr/bin"}}), (Environment{{"LD_LIBRARY_PATH", "/opt/lib"},
                                                                      {"NODE_PATH", "/opt/nodejs/node_modules"},
                                                                      {"PATH", "/usr/bin:/opt/bin"},
                                                                      {"PYTHONPATH", "/opt/python"}}));
}

TEST_F(LayerPaths, StandBehindTheFunctionsOwnAndAreNamedOnce) {
  make({"python", "lib"});
  EXPECT_EQ(paths(Contract::fc, {{"PYTHONPATH", "/code/vendored"}, {"LD_LIBRARY_PATH", "/opt/lib:/code/lib"}}),
            (Environment{{"LD_LIBRARY_PATH", "/opt/lib:/code/lib"}, {"PYTHONPATH", "/code/vendored:/opt/python"}}));
}

TEST_F(LayerPaths, FindFoldersOfInterpreterVersions) {
  make({"python/lib/python3.9/site-packages", "python/lib/python3.11/site-packages", "python/lib/other", "nodejs/node18/node_modules"});
  Environment found = paths(Contract::lambda);
  EXPECT_EQ(found["PYTHONPATH"], "/opt/python:/opt/python/lib/python3.11/site-packages:/opt/python/lib/python3.9/site-packages");
  EXPECT_EQ(found["NODE_PATH"], "/opt/nodejs/node18/node_modules");
}

TEST_F(LayerPaths, ClassesAreForJavaOnly) {
  make({"java/lib"});
  runnable_.function.runtime = "java11";
  EXPECT_EQ(paths(Contract::fc), (Environment{{"CLASSPATH", "/opt/java/lib/*"}}));
}

TEST_F(LayerPaths, TencentAddsTheCodeAndOptItself) {
  Environment found = paths(Contract::scf);
  EXPECT_EQ(found["PYTHONPATH"], "/var/user:/opt");
  EXPECT_EQ(found["NODE_PATH"], "/var/user:/var/user/node_modules:/opt");
  EXPECT_EQ(found["LD_LIBRARY_PATH"], "/opt");
  make({"node_modules"});
  EXPECT_EQ(paths(Contract::scf)["NODE_PATH"], "/var/user:/var/user/node_modules:/opt:/opt/node_modules");
  runnable_.layers_path.clear();
  EXPECT_EQ(paths(Contract::scf), (Environment{{"NODE_PATH", "/var/user:/var/user/node_modules"}, {"PYTHONPATH", "/var/user"}}));
}

}  // namespace
}  // namespace mayfly::runtime
