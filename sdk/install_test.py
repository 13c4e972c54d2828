#!/usr/bin/env python3
"""The SDK as its users get it: built alone by the machine's ordinary compiler, installed, found by find_package; the examples and every
program of README.md compile against it, and run by hand without a server.

Usage: install_test.py REPOSITORY"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, **options)
    return result.returncode, result.stdout, result.stderr.decode()


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-sdk-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.prefix = cls.scratch / "prefix"
        cls.compiler = next(c for c in ("g++", "clang++-19", "c++") if shutil.which(c))
        cls.configure(REPOSITORY / "sdk", cls.scratch / "sdk")
        cls.must("cmake", "--install", cls.scratch / "sdk", "--prefix", cls.prefix)

    @classmethod
    def must(cls, *command):
        status, out, error = run(*command)
        if status != 0:
            raise AssertionError(f"{command}: exit {status}\n{out.decode()}\n{error}")

    @classmethod
    def configure(cls, source, build, *definitions):
        cls.must("cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={cls.compiler}", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_PREFIX_PATH={cls.prefix}",
                 "-DCMAKE_CXX_FLAGS=-Wall -Wextra", *definitions)
        cls.must("cmake", "--build", build)

    def example(self, name, *definitions):
        self.configure(REPOSITORY / "examples" / name, self.scratch / name, *definitions)
        return self.scratch / name / "code"

    def test_hello_runs_by_hand(self):
        hello = self.example("cpp-hello") / "hello"
        status, out, log = run(hello, "--function", "greet", "--event", "-", input=b'{"name": "you"}')
        self.assertEqual((status, out), (0, b'{"greeting":"Hello, you!"}'), log)
        self.assertIn("[INFO] greeting you", log)
        status, out, error = run(hello, "--function", "greet", "--event", "-", input=b"{}")
        self.assertEqual((status, out), (1, b""))
        self.assertIn('"errorType":"NoName"', error)
        self.assertIn("greet(mayfly::Event", error, "the stack names the handler")
        status, out, head = run(hello, "--function", "page", "--http", "GET /?lines=2")
        self.assertEqual((status, out), (0, b"Hello for the 1. time\nHello for the 2. time\n"))
        self.assertIn("HTTP 200", head)

    def test_without_words_it_explains_itself(self):
        status, out, error = run(self.example("cpp-hello") / "hello", stdin=subprocess.DEVNULL)
        self.assertEqual((status, out), (2, b""))
        self.assertIn("holds Mayfly functions: greet, page", error)
        self.assertIn("--event FILE", error)

    def test_wholly_static_programs_work_too(self):
        hello = self.example("cpp-hello", "-DMAYFLY_STATIC=ON") / "hello"
        status, out, _ = run(hello, "--function", "greet", "--event", "-", input=b'{"name": "all"}')
        self.assertEqual((status, out), (0, b'{"greeting":"Hello, all!"}'))
        self.assertNotIn(b"INTERP", run("readelf", "-l", hello)[1], "no dynamic linker is needed")

    def test_every_program_of_the_readme_compiles_and_runs(self):
        programs = re.findall(r"```cpp\n(.*?)```", (REPOSITORY / "sdk" / "README.md").read_text(), re.S)
        self.assertGreaterEqual(len(programs), 2)
        folder = self.scratch / "readme"
        folder.mkdir()
        lines = ["cmake_minimum_required(VERSION 3.20)", "project(readme LANGUAGES CXX)", "find_package(mayfly-sdk REQUIRED)"]
        for number, text in enumerate(programs):
            (folder / f"program{number}.cc").write_text(text)
            lines.append(f"mayfly_program(program{number} program{number}.cc)")
        (folder / "CMakeLists.txt").write_text("\n".join(lines))
        self.configure(folder, folder / "build")
        status, out, error = run(folder / "build" / "program0", "--event", "-", input=b'{"items": [1, 2, 3]}')
        self.assertEqual((status, out), (0, b'{"items":3}'), error)
        status, out, error = run(folder / "build" / "program1", "--function", "classify", "--http", "GET /")
        self.assertIn("HTTP 405", error)
        status, out, _ = run(folder / "build" / "program1", "--function", "rows", "--event", "/dev/null")
        self.assertEqual(out.count(b"\n"), 1000)

    @unittest.skipUnless(pathlib.Path("/usr/include/jpeglib.h").exists(), "needs libjpeg62-turbo-dev")
    def test_thumbnails_refuse_what_is_no_picture(self):
        program = self.example("cpp-thumbnails") / "thumbnails"
        picture = self.scratch / "no.jpg"
        picture.write_bytes(b"no picture")
        status, out, head = run(program, "--http", "POST /?width=32", "--body", picture)
        self.assertEqual(status, 0, head)
        self.assertIn("HTTP 422", head)
        self.assertIn(b"Not a JPEG file", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
