#include "server/handler_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/runtimes.h"
#include "sys/file.h"

namespace mayfly::server {
namespace {

class HandlerFile : public ::testing::Test {
 protected:
  ~HandlerFile() override { sys::remove_tree(folder_); }
  void add(const std::string& name) {
    std::filesystem::create_directories(std::filesystem::path(folder_ + "/" + name).parent_path());
    sys::write_file(folder_ + "/" + name, "x");
  }
  std::string missing(const std::string& runtime, const std::string& handler, json::object vendor = {}) {
    functions::Runnable runnable;
    runnable.function.name = "f";
    runnable.function.runtime = runtime;
    runnable.function.handler = handler;
    runnable.function.vendor = std::move(vendor);
    runnable.code_path = folder_;
    runnable.layers_path = layers_;
    return why_it_cannot_start(runnable);
  }

  static std::string make_folder() {
    std::string pattern = std::filesystem::temp_directory_path().string() + "/mayfly-handler-XXXXXX";
    return ::mkdtemp(pattern.data());
  }
  std::string folder_ = make_folder(), layers_;
};

TEST_F(HandlerFile, APythonHandlerIsAFileOrAPackageOrACompiledModule) {
  EXPECT_EQ(missing("python3", "index.handler"), "the package has no file 'index.py', which the handler 'index.handler' of a python3 function needs");
  add("index.js");
  EXPECT_NE(missing("python3", "index.handler"), "");
  add("index.py");
  EXPECT_EQ(missing("python3.9", "index.handler"), "");
  add("deep/er/main.py");
  EXPECT_EQ(missing("python3", "deep/er/main.run"), "");
  EXPECT_EQ(missing("python3", "deep.er.main.run"), "");
  EXPECT_NE(missing("python3", "deep.main.run"), "");
  add("pack/__init__.py");
  EXPECT_EQ(missing("python3", "pack.run"), "");
  add("fast.cpython-311-x86_64-linux-gnu.so");
  EXPECT_EQ(missing("python3", "fast.run"), "");
}

TEST_F(HandlerFile, AHandlerOfAScriptNamesAFileAndAFunction) {
  for (const char* runtime : {"python3", "nodejs20", "php7.2"}) {
    if (!runtime::found_on_this_machine(*runtime::find_runtime(runtime))) continue;
    EXPECT_EQ(missing(runtime, "handler"), "the handler 'handler' must be 'file.function'") << runtime;
    EXPECT_EQ(missing(runtime, ".handler"), "the handler '.handler' must be 'file.function'") << runtime;
  }
}

TEST_F(HandlerFile, ADotnetHandlerNamesItsAssembly) {
  if (!std::filesystem::exists("/usr/bin/dotnet")) {
    EXPECT_EQ(missing("dotnetcore3.1", "App::N.C::M"), "runtime 'dotnetcore3.1' needs /usr/bin/dotnet, which is not on this machine: install a .NET runtime, 3.1 or later, as /usr/bin/dotnet");
    return;
  }
  EXPECT_EQ(missing("dotnetcore3.1", "App::N.C::M"), "the package has no file 'App.dll', which the handler 'App::N.C::M' of a dotnetcore3.1 function needs");
  EXPECT_EQ(missing("dotnetcore3.1", "App"), "") << "its own error says what a handler must be";
  add("App.dll");
  EXPECT_EQ(missing("dotnetcore3.1", "App::N.C::M"), "");
}

TEST_F(HandlerFile, ProgramsOfCustomRuntimesAreLookedFor) {
  EXPECT_EQ(missing("custom", "h"), "the package has no file 'bootstrap', which the handler 'h' of a custom function needs");
  EXPECT_EQ(missing("custom", "h", {{"customRuntimeConfig", json::object{{"command", json::array{"./serve"}}}}}), "");
  EXPECT_NE(missing("go1", "main"), "");
  add("bootstrap");
  EXPECT_EQ(missing("custom", "h"), "");
  EXPECT_EQ(missing("go1", "main"), "");
  EXPECT_NE(missing("cpp", "faces.detect"), "");
  add("faces");
  EXPECT_EQ(missing("cpp", "faces.detect"), "");
}

TEST_F(HandlerFile, WhatLayersMayBringIsNotMissing) {
  layers_ = "/opt-of-this-test";
  EXPECT_EQ(missing("python3", "index.handler"), "");
}

TEST_F(HandlerFile, AnUnknownRuntimeIsToldWhichThereAre) {
  EXPECT_NE(missing("cobol", "index.handler").find("there is no runtime 'cobol' here"), std::string::npos);
}

}  // namespace
}  // namespace mayfly::server
