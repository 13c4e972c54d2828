#!/usr/bin/env python3
"""Functions in C++ as their author meets them: the examples built against the installed SDK, deployed with `mayfly deploy`, called."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import support

import requests  # from the libraries that support put on the path

COUNTER = """
#include <mayfly/function.h>
#include <sched.h>
#include <unistd.h>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

std::atomic<int> running = 0;

[[gnu::noinline]] void fail_deep_inside(std::string_view text) {
  if (text != "fine") throw std::invalid_argument("no good");
}

int main() {
  auto about = mayfly::function("about", [](mayfly::Event event, mayfly::Context& context) {
    context.log.info("asked for ", event.body);
    auto left = context.remaining().count();
    return mayfly::Json{{"request", context.request_id()}, {"function", context.function().name}, {"service", context.service().name}, {"region", context.region()},
                        {"account", context.account()}, {"variable", std::getenv("GREETING")}, {"memory", context.function().memory_mb}, {"in_time", left > 0 && left <= 20'000}};
  });
  auto fails = mayfly::function("fails", [](mayfly::Event event) { fail_deep_inside(event); });
  auto crashes = mayfly::function("crashes", [](mayfly::Event) { std::abort(); });
  auto together = mayfly::function("together", [](mayfly::Event) {  // ends when four of it run at once
    for (++running; running < 4;) std::this_thread::yield();
    return std::to_string(getpid());
  });
  auto unready = mayfly::function("unready", [](mayfly::Event) {}).initializer([](mayfly::Context&) { throw mayfly::Error("NoModel", "the model is missing"); });
  auto echo = mayfly::http("echo", [](const mayfly::Request& request) {
    return mayfly::Reply::bytes(std::string(request.body()), std::string(request.header("content-type"))).status(201).header("X-Path", std::string(request.path()));
  });
  return mayfly::serve(about, fails, crashes, together, unready, echo);
}
"""


class CppFunctions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-cpp-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.prefix = cls.scratch / "prefix"
        cls.build(support.SOURCE / "sdk", cls.scratch / "sdk")
        cls.must("cmake", "--install", cls.scratch / "sdk", "--prefix", cls.prefix)
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        folder = cls.scratch / "own"
        folder.mkdir()
        (folder / "own.cc").write_text(COUNTER)
        (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(own LANGUAGES CXX)\nfind_package(mayfly-sdk REQUIRED)\nmayfly_program(own own.cc)\n")
        cls.build(folder, folder / "build")
        cls.fc.create_service("cpp-own")
        (folder / "code").mkdir()
        shutil.copy(folder / "build" / "own", folder / "code")
        for name, more in (("about", {"environmentVariables": {"GREETING": "hi"}}), ("fails", {}), ("crashes", {}), ("together", {"instanceConcurrency": 4}), ("unready", {}), ("echo", {})):
            cls.fc.create_function("cpp-own", name, "cpp20", f"own.{name}", timeout=20, memorySize=128, codeDir=str(folder / "code"), **more)
        cls.fc.create_trigger("cpp-own", "echo", "http", "http", {"authType": "anonymous", "methods": ["POST"]}, "", "")

    @classmethod
    def must(cls, *command):
        result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        if result.returncode != 0:
            raise AssertionError(f"{command}: {result.stdout}")

    @classmethod
    def build(cls, source, build):
        compiler = next(c for c in ("g++", "clang++-19", "c++") if shutil.which(c))
        cls.must("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_PREFIX_PATH={cls.prefix}")
        cls.must("cmake", "--build", build)

    def deploy(self, example):
        folder = self.scratch / example
        shutil.copytree(support.SOURCE / "examples" / example, folder)
        self.build(folder, folder / "build")
        self.server.cli("deploy", cwd=folder)

    def error_of(self, name, event):
        """The body of a call that fails; the vendor's client raises it."""
        import fc2.fc_exceptions
        with self.assertRaises(fc2.fc_exceptions.FcError) as raised:
            self.fc.invoke_function("cpp-own", name, event)
        return json.loads(raised.exception.args[0])

    def test_the_hello_example_deploys_and_streams(self):
        self.deploy("cpp-hello")
        answer = self.fc.invoke_function("cpp", "greet", b'{"name": "mayfly"}')
        self.assertEqual(json.loads(answer.data), {"greeting": "Hello, mayfly!"})
        self.assertIn("greeting mayfly", self.server.cli("logs", "cpp/greet").stdout)
        page = requests.get(self.server.endpoint + "/2016-08-15/proxy/cpp/page/?lines=3", timeout=60)
        self.assertEqual((page.status_code, page.text), (200, "".join(f"Hello for the {n}. time\n" for n in (1, 2, 3))))
        self.assertEqual(page.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(requests.get(self.server.endpoint + "/2016-08-15/proxy/cpp/page/nothing", timeout=60).status_code, 404)

    @unittest.skipUnless(pathlib.Path("/usr/include/jpeglib.h").exists() and support.PHOTOS, "needs libjpeg62-turbo-dev and the sample photos")
    def test_thumbnails_are_small_jpegs(self):
        self.deploy("cpp-thumbnails")
        photo = next(pathlib.Path(support.PHOTOS).glob("*.jpg")).read_bytes()
        answer = requests.post(self.server.endpoint + "/2016-08-15/proxy/pictures/thumbnail/?width=120", data=photo, timeout=60)
        self.assertEqual((answer.status_code, answer.headers["content-type"]), (200, "image/jpeg"), answer.text[:300])
        small = answer.content
        self.assertLess(len(small), len(photo) / 4)
        frame = small.index(b"\xff\xc0")  # the frame header: length, precision, height, width
        self.assertEqual(int.from_bytes(small[frame + 7:frame + 9], "big"), 120)

    def test_the_context_is_that_of_the_call(self):
        answer = self.fc.invoke_function("cpp-own", "about", b"everything")
        seen = json.loads(answer.data)
        self.assertEqual(seen.pop("request"), answer.headers["x-fc-request-id"])
        self.assertEqual(seen, {"function": "about", "service": "cpp-own", "region": support.REGION, "account": self.server.account, "variable": "hi", "memory": 128, "in_time": True})
        logs = self.server.cli("logs", "cpp-own/about").stdout
        self.assertIn(f"{answer.headers['x-fc-request-id']} [INFO] asked for everything", logs)

    def test_an_exception_is_an_error_with_its_stack(self):
        error = self.error_of("fails", b"x")
        self.assertEqual((error["errorMessage"], error["errorType"]), ("no good", "std::invalid_argument"))
        self.assertIn("fail_deep_inside", error["stackTrace"][0])
        self.assertEqual(self.fc.invoke_function("cpp-own", "fails", b"fine").data, b"")

    def test_a_crash_is_one_clear_error(self):
        self.assertIn("exited unexpectedly", self.error_of("crashes", b"")["errorMessage"])

    def test_a_failing_initializer_says_why(self):
        error = self.error_of("unready", b"")
        self.assertEqual((error["errorMessage"], error["errorType"]), ("the model is missing", "NoModel"))

    def test_calls_share_an_instance_when_it_takes_several(self):
        import concurrent.futures
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            answers = set(threads.map(lambda _: self.server.fc().invoke_function("cpp-own", "together", b"").data, range(4)))
        self.assertEqual(len(answers), 1, f"one process had all four: {answers}")

    def test_bodies_go_through_unchanged(self):
        for size in (0, 1, 100_000, 5_000_000):
            body = os.urandom(size)
            answer = requests.post(self.server.endpoint + "/2016-08-15/proxy/cpp-own/echo/a%20b", data=body, headers={"Content-Type": "image/x-test"}, timeout=60)
            self.assertEqual(answer.status_code, 201, f"{size} bytes: {answer.text[:400]}")
            self.assertEqual((answer.status_code, answer.headers["x-path"], answer.headers["content-type"]), (201, "/a b", "image/x-test"))
            self.assertEqual(answer.content, body)


if __name__ == "__main__":
    support.main()
