#!/usr/bin/env python3
"""The example deployed twice: by the vendor's own tool, unmodified @alicloud/fun under `mayfly cloud`, and by `mayfly deploy`, with the
same result; then run."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest

import support

FUN = os.path.join(support.CLIENTS, "node_modules/.bin/fun")


def essentials(server):
    """What was deployed, without ids, times and packages (each tool makes its own zip)."""
    fc = server.fc()
    functions = {}
    for item in fc.list_functions("face-batch").data["functions"]:
        kept = {k: item[k] for k in ("functionName", "runtime", "handler", "initializer", "timeout", "initializationTimeout", "memorySize", "environmentVariables")}
        triggers = fc.list_triggers("face-batch", item["functionName"]).data["triggers"]
        functions[item["functionName"]] = kept, [(t["triggerName"], t["triggerType"], t["triggerConfig"]) for t in triggers]
    return fc.get_service("face-batch").data["role"], functions


class Deploy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="mayfly-fun-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.example = pathlib.Path(self.folder, "example")
        shutil.copytree(support.SOURCE / "examples/face-batch", self.example)

    def server(self):
        server = support.Mayfly()
        self.addCleanup(server.close)
        return server

    def fun(self, server, *arguments):
        return server.cli("cloud", "--", "node", FUN, *arguments, cwd=self.example, timeout=240).stdout

    def find_faces(self, server):
        bucket = server.bucket("photos")
        bucket.create_bucket()
        bucket.put_object_from_file("one.jpg", os.path.join(support.PHOTOS, "sample1.jpg"))
        bucket.put_object("not.jpg", b"no photo")
        execution = json.loads(server.cli("--json", "flow", "start", "face-flow", '{"bucket":"photos","prefix":""}', "--wait", timeout=120).stdout)
        self.assertEqual(execution["Status"], "Succeeded", execution)
        self.assertTrue(bucket.object_exists("face-detection/one.jpg"))
        self.assertTrue(bucket.object_exists("processed/one.jpg"))
        self.assertTrue(bucket.object_exists("not.jpg"))
        self.assertFalse(bucket.object_exists("one.jpg"))

    def test_fun_and_mayfly_deploy_the_same(self):
        by_fun, by_mayfly = self.server(), self.server()
        out = self.fun(by_fun, "deploy", "-y")
        self.assertIn("flow face-flow deploy success", out)
        by_mayfly.cli("deploy", str(self.example), "-y")
        fun_role, fun_functions = essentials(by_fun)
        role, functions = essentials(by_mayfly)
        self.assertEqual(functions, fun_functions)
        self.assertEqual(role.split("/")[-1], fun_role.split("/")[-1])
        self.find_faces(by_fun)

    def test_fun_updates_what_it_deployed(self):
        server = self.server()
        self.fun(server, "deploy", "-y")
        template = self.example / "template.yml"
        template.write_text(template.read_text().replace("MemorySize: 512", "MemorySize: 640"))
        self.fun(server, "deploy", "-y")
        self.assertEqual(server.fc().get_function("face-batch", "faceDetector").data["memorySize"], 640)

    def test_a_second_deploy_changes_only_what_changed(self):
        server = self.server()
        first = server.cli("deploy", str(self.example), "-y").stdout
        self.assertIn("+ function face-batch/faceDetector", first)
        self.assertIn("Nothing to do", server.cli("deploy", str(self.example), "-y").stdout)
        handler = self.example / "lister/index.py"
        handler.write_text(handler.read_text() + "\n# changed\n")
        again = server.cli("deploy", str(self.example), "-y").stdout
        self.assertIn("~ function face-batch/faceLister", again)
        self.assertIn("= function face-batch/faceDetector", again)
        self.find_faces(server)

    def test_a_template_that_is_wrong_says_where(self):
        server = self.server()
        template = self.example / "template.yml"
        good = template.read_text()
        for old, new, where in (("Timeout: 60", "Timeout: soon", "Timeout"), ("Handler: index.handler", "Handlr: index.handler", "Handlr"), ("DefinitionUri: flow.yml", "DefinitionUri: none.yml", "none.yml")):
            template.write_text(good.replace(old, new, 1))
            result = server.cli("deploy", str(self.example), "-y", check=False)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(where, result.stdout + result.stderr)
        self.assertEqual(server.cli_json("ls")["functions"], [])


if __name__ == "__main__":
    support.main()
