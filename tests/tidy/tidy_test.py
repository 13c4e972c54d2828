#!/usr/bin/env python3
"""tidy.py itself: each rule finds its breach, and clean code passes."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).with_name("tidy.py")


def run(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = subprocess.run([sys.executable, TIDY, folder], capture_output=True, text=True)
        return result.returncode, result.stdout


class Tidy(unittest.TestCase):
    def breach(self, name, text, expected):
        code, out = run({name: text})
        self.assertEqual(code, 1, out)
        self.assertIn(expected, out)

    def test_clean_code_passes(self):
        self.assertEqual(run({"src/base/a.cc": '#include "base/a.h"\nint f() {\n  return 1;\n}\n'})[0], 0)

    def test_an_include_that_climbs_is_found(self):
        self.breach("src/store/a.cc", '#include "flows/flows.h"\n', "may not include flows")

    def test_a_neighbour_of_the_same_floor_is_found(self):
        self.breach("src/objects/a.cc", '#include "queues/work_queue.h"\n', "may not include queues")

    def test_a_page_that_names_a_test_that_is_not_there_is_found(self):
        test = {"src/base/a_test.cc": "TEST_F(Thing, Holds) {\n}\n", "tests/thing.py": ""}
        self.assertEqual(run({**test, "docs/PROMISES.md": "`Thing.Holds`, `Thing.*`, `Thing.Holds/Row` and `thing.py`\n"})[0], 0)
        for named in ("`Thing.Breaks`", "`Other.*`", "`other.py`"):
            code, out = run({**test, "docs/PROMISES.md": named + "\n"})
            self.assertEqual(code, 1, out)
            self.assertIn("docs/PROMISES.md:1: there is no ", out)

    def test_a_long_file_is_found(self):
        self.breach("src/base/a.cc", "int x;\n" * 601, "lines, the limit is 600")

    def test_a_long_function_is_found(self):
        self.breach("src/base/a.cc", "int f(int a) {\n" + "  ++a;\n" * 80 + "}\n", "function has 82 lines")

    def test_asio_outside_io_is_found(self):
        self.breach("src/http/a.cc", "#include <boost/asio/post.hpp>\n", "only room that includes Asio")

    def test_a_direct_clock_is_found(self):
        self.breach("src/flows/a.cc", "auto t = std::chrono::system_clock::now();\n", "a Clock from base/clock.h")

    def test_what_only_stands_in_a_text_is_not_found(self):
        self.assertEqual(run({"src/base/a.cc": 'const char* kCode = "import time\\n\\"x\\"; time.sleep(1)";\n'})[0], 0)
        self.breach("src/base/a.cc", 'f("text"); usleep(1);\n', "io::sleep_us")

    def test_a_mark_left_behind_is_found(self):
        self.breach("src/base/a.cc", "// TO" + "DO finish\n", "unfinished mark")

    def test_an_unknown_room_is_found(self):
        self.breach("src/attic/a.h", "#pragma once\n", "not in the floor table")


if __name__ == "__main__":
    unittest.main()
