#!/usr/bin/env python3
"""Layers: through the vendor's own clients, and made by `mayfly deps` with the machine's own pip and npm."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import zipfile

import support

# What the function finds: the texts of files, and what importing a module says.
LOOK = """
import importlib, json, os
def handler(event, context):
    ask = json.loads(event)
    found = {name: open("/opt/" + name).read() for name in ask.get("files", [])}
    found.update({name: importlib.import_module(name).__file__ for name in ask.get("modules", [])})
    try:
        open("/opt/written", "w")
        found["writable"] = True
    except OSError:
        found["writable"] = False
    return {**found, "path": os.environ.get("PYTHONPATH", ""), "programs": os.environ["PATH"]}
"""
LARGE_BYTES = 300 << 20


class Layers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("s")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="mayfly-layers-")
        self.addCleanup(shutil.rmtree, self.folder)

    def project(self, name, files):
        folder = pathlib.Path(self.folder, name)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def function(self, name, layers=None, service="s"):
        """With the Python client, which knows nothing of layers; those are set with the node client."""
        self.fc.create_function(service, name, "python3", "index.handler", codeZipFile=support.zip_file({"index.py": LOOK}), timeout=30)
        if layers is not None:
            self.set_layers(name, layers, service)

    def set_layers(self, name, layers, service="s"):
        return self.node(f"return (await client.updateFunction('{service}', '{name}', {{ layers: {json.dumps(layers)} }})).data.layers;")

    def call(self, name, ask):
        return json.loads(self.fc.invoke_function("s", name, json.dumps(ask).encode()).data)

    def node(self, script, under_cloud=False):
        """Runs a script with the vendor's node client; what it prints as JSON."""
        text = f"""
            const FC = require('@alicloud/fc2');
            const fs = require('fs');
            const e = process.env;
            const client = new FC(e.ACCOUNT_ID, {{ accessKeyID: e.ACCESS_KEY_ID, accessKeySecret: e.ACCESS_KEY_SECRET, region: e.REGION, endpoint: e.ENDPOINT, timeout: 300000 }});
            const sixtyFour = (path) => fs.readFileSync(path).toString('base64');
            const code = async (promise) => {{ try {{ await promise; return 'nothing'; }} catch (error) {{ return error.code; }} }};
            (async () => {{ {script} }})().then((out) => console.log(JSON.stringify(out)), (error) => {{ console.error(error); process.exit(1); }});
        """
        file = pathlib.Path(self.folder, "script.js")
        file.write_text(text)
        if under_cloud:
            environment = self.server.environment()
            result = self.server.cli("cloud", "--", "node", str(file), env={**environment, "ENDPOINT": f"http://{self.server.account}.{support.REGION}.fc.aliyuncs.com"}, timeout=300)
        else:
            result = subprocess.run(["node", str(file)], env=self.server.environment(), capture_output=True, text=True, timeout=300)
            self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def layer(self, name, files, *arguments):
        return self.server.cli_json("layer", "publish", name, str(self.project(name, files)), *arguments)["arn"]

    def test_the_node_client_publishes_reads_and_deletes(self):
        zip_path = support.zip_file({"words.txt": "one"})
        out = self.node(f"""
            const made = (await client.publishLayerVersion('node-layer', {{ description: '层', compatibleRuntime: ['python3'], code: {{ zipFile: sixtyFour('{zip_path}') }} }})).data;
            await client.publishLayerVersion('node-layer', {{ compatibleRuntime: ['python3'], code: {{ zipFile: sixtyFour('{zip_path}') }} }});
            const listed = (await client.listLayers({{ prefix: 'node-' }})).data.layers;
            const versions = (await client.listLayerVersions('node-layer', {{ limit: 1 }})).data;
            await client.putLayerACL('node-layer', {{ public: 'true' }});
            const byArn = (await client.getLayerVersionByArn(made.arn)).data;
            await client.deleteLayerVersion('node-layer', 1);
            const missing = [await code(client.getLayerVersion('node-layer', 1)), await code(client.getLayerVersion('none', 1))];
            return {{ made, listed, versions, byArn, missing }};
        """)
        self.assertEqual((out["made"]["version"], out["made"]["description"], out["made"]["compatibleRuntime"]), (1, "层", ["python3"]))
        self.assertEqual([(each["layerName"], each["version"]) for each in out["listed"]], [("node-layer", 2)])
        self.assertEqual((out["versions"]["layers"][0]["version"], out["versions"]["nextVersion"]), (2, 1))
        self.assertEqual((out["byArn"]["codeChecksum"], out["byArn"]["acl"]), (out["made"]["codeChecksum"], 1))
        self.assertEqual(out["missing"], ["LayerVersionNotFound", "LayerNotFound"])

    def test_the_first_of_two_layers_covers_the_second(self):
        top = self.layer("top", {"both": "top", "bin/tool": "x"})
        bottom = self.layer("bottom", {"both": "bottom", "only": "bottom", "python/below.py": ""})
        self.function("two")
        self.assertEqual(self.set_layers("two", [top, bottom]), [top, bottom])
        found = self.call("two", {"files": ["both", "only"], "modules": ["below"]})
        self.assertEqual((found["both"], found["only"], found["below"]), ("top", "bottom", "/opt/python/below.py"))
        self.assertEqual((found["writable"], found["path"]), (False, "/opt/python"))
        self.assertTrue(found["programs"].endswith(":/opt/bin"))
        self.set_layers("two", [bottom, top])
        self.assertEqual(self.call("two", {"files": ["both"]})["both"], "bottom")
        self.set_layers("two", [])
        with self.assertRaises(Exception):
            self.call("two", {"files": ["both"]})

    def test_native_libraries_and_programs_of_a_layer_are_found(self):
        folder = self.project("native", {"answer.c": "int answer(void) { return 42; }", "bin/hello": "#!/bin/sh\necho hello\n"})
        (folder / "lib").mkdir()
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / "lib/libanswer.so"), str(folder / "answer.c")], check=True)
        (folder / "bin/hello").chmod(0o755)
        arn = self.server.cli_json("layer", "publish", "native", str(folder))["arn"]
        source = "import ctypes, subprocess\ndef handler(event, context):\n    return [ctypes.CDLL('libanswer.so').answer(), subprocess.check_output('hello', text=True)]\n"
        self.fc.create_function("s", "native", "python3", "index.handler", codeZipFile=support.zip_file({"index.py": source}), timeout=30)
        self.set_layers("native", [arn])
        self.assertEqual(self.call("native", {}), [42, "hello\n"])

    def test_no_byte_is_on_disk_twice(self):
        a, b = self.layer("inode-a", {"a.txt": "a" * 5000}), self.layer("inode-b", {"b.txt": "b" * 5000})
        self.function("one-layer", layers=[a])
        self.function("both-layers", layers=[a, b])
        self.assertEqual(self.call("one-layer", {"files": ["a.txt"]})["a.txt"], "a" * 5000)
        self.assertEqual(self.call("both-layers", {"files": ["b.txt"]})["b.txt"], "b" * 5000)
        seen = list(pathlib.Path(self.server.data, "code").rglob("a.txt"))
        self.assertEqual(len(seen), 2, "its own folder and the merged one")
        self.assertEqual(len({path.stat().st_ino for path in seen}), 1)
        self.assertTrue(any(part.startswith("layers-") for path in seen for part in path.parts))

    def test_versions_and_deleted_layers_keep_what_they_had(self):
        first = self.layer("kept", {"text": "one"})
        self.fc.create_service("frozen")
        self.function("f", service="frozen", layers=[first])
        self.fc.publish_version("frozen", "")
        second = self.layer("kept", {"text": "two"})
        self.set_layers("f", [second], "frozen")
        self.server.cli("layer", "delete", "kept", "1")
        self.function("late")
        refused = self.node(f"try {{ await client.updateFunction('s', 'late', {{ layers: ['{first}'] }}) }} catch (error) {{ return [error.code, error.message]; }}")
        self.assertEqual(refused[0], "LayerVersionNotFound")
        self.assertIn("'kept'", refused[1])
        for _ in range(2):
            ask = json.dumps({"files": ["text"]}).encode()
            self.assertEqual(json.loads(self.fc.invoke_function("frozen", "f", ask, qualifier="1").data)["text"], "one")
            self.assertEqual(json.loads(self.fc.invoke_function("frozen", "f", ask).data)["text"], "two")
            self.server.stop()  # what nothing names is swept when it starts again
            self.server.start()
            type(self).fc = self.server.fc()

    def test_a_large_layer_goes_through_a_token(self):
        path = pathlib.Path(self.folder, "large.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            with archive.open("weights.bin", "w", force_zip64=True) as out:
                for _ in range(LARGE_BYTES >> 20):
                    out.write(os.urandom(1 << 20))
            archive.writestr("name", "weights")
        out = self.node(f"""
            const made = (await client.publishLayerVersionForBigCode('large', {{ compatibleRuntime: ['python3'], codeConfig: {{ size: {path.stat().st_size}, zipFilePath: '{path}' }} }})).data;
            return made;
        """, under_cloud=True)
        self.assertEqual(out["codeSize"], path.stat().st_size)
        self.function("with-large", layers=[out["arn"]])
        self.assertEqual(self.call("with-large", {"files": ["name"]})["name"], "weights")
        again = self.server.cli_json("layer", "publish", "large", str(path))
        self.assertEqual((again["version"], again["published"]), (1, False))
        other = self.server.cli_json("layer", "publish", "large-again", str(path))
        self.assertEqual((other["version"], other["published"]), (1, True))
        bucket = self.server.bucket(f"mayfly-packages-{self.server.account}")
        self.assertEqual(bucket.list_objects().object_list, [], "taken packages leave the bucket")
        weights = list(pathlib.Path(self.server.data, "code").rglob("weights.bin"))
        self.assertEqual(len(weights), 1)
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        self.assertLess(peak_kb << 10, LARGE_BYTES, "a package never stands in memory whole")

    def test_a_token_puts_its_object_and_nothing_else(self):
        import oss2
        token = self.node("return (await client.getTempCodeBucketPermission('s', 'f', 'e1')).data;")
        keys = token["credentials"]
        bucket = oss2.Bucket(oss2.StsAuth(keys["AccessKeyId"], keys["AccessKeySecret"], keys["SecurityToken"]), self.server.endpoint, token["ossBucket"])
        key = f"{self.server.account}/s/{token['objectName']}"
        bucket.put_object(key, b"x")
        for attempt in (lambda: bucket.put_object(key + "2", b"x"), lambda: bucket.get_object(key), lambda: bucket.delete_object(key), bucket.list_objects):
            with self.assertRaises(oss2.exceptions.AccessDenied):
                attempt()

    def test_large_code_goes_through_the_token_too(self):
        zip_path = support.zip_file({"index.py": LOOK})
        self.node(f"""
            await client.createFunction('s', {{ functionName: 'by-token', runtime: 'python3', handler: 'index.handler', withoutCodeLimit: true, code: {{ zipFile: '{zip_path}' }} }});
            return 1;
        """, under_cloud=True)
        self.assertIn("path", self.call("by-token", {}))

    def test_python_dependencies_are_installed_into_a_layer(self):
        project = self.project("app", {"index.py": LOOK, "requirements.txt": "six==1.17.0\n"})
        self.function("with-deps")
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(self.folder, "cache")}
        first = json.loads(self.server.cli("--json", "deps", str(project), "--function", "s/with-deps", env=environment).stdout)
        self.assertEqual((first["layer"], first["version"], first["functions"]), ("app-deps", 1, ["s/with-deps"]))
        found = self.call("with-deps", {"modules": ["six"]})
        self.assertEqual(found["six"], "/opt/python/six.py", found)
        again = json.loads(self.server.cli("--json", "deps", str(project), "--function", "s/with-deps", env=environment).stdout)
        self.assertEqual((again["digest"], again["cached"], again["published"], again["functions"]), (first["digest"], True, False, []))
        anew = json.loads(self.server.cli("--json", "deps", str(project), "--no-cache", "--output", os.path.join(self.folder, "out.zip"), env=environment).stdout)
        self.assertEqual((anew["digest"], anew["cached"]), (first["digest"], False))

    def test_node_dependencies_are_installed_into_a_layer(self):
        source = "exports.handler = (event, context, callback) => callback(null, JSON.stringify([require('ms')('2 days'), require.resolve('ms')]));"
        project = self.project("web", {"package.json": json.dumps({"name": "web", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}})})
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(self.folder, "cache")}
        out = os.path.join(self.folder, "out.zip")
        self.server.cli("deps", str(project), "--output", out, env=environment)
        names = zipfile.ZipFile(out).namelist()
        self.assertIn("nodejs/node_modules/ms/index.js", names)
        self.assertTrue(all(name.startswith("nodejs/node_modules/ms/") for name in names), names)
        self.fc.create_function("s", "node", "nodejs18", "index.handler", codeZipFile=support.zip_file({"index.js": source}), timeout=30)
        self.server.cli("deps", str(project), "--function", "s/node", env=environment)
        self.assertEqual(json.loads(self.fc.invoke_function("s", "node", b"").data), [172800000, "/opt/nodejs/node_modules/ms/index.js"])

    def test_deploy_installs_what_functions_name(self):
        self.project("site", {"template.yml": """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  site:
    Type: 'Aliyun::Serverless::Service'
    page:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: code, Timeout: 20}
""", "code/index.py": LOOK, "code/requirements.txt": "six==1.17.0\n"})
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(self.folder, "cache")}
        folder = os.path.join(self.folder, "site")
        self.assertIn("+ layer site-page-deps", self.server.cli("deploy", folder, "-y", "--deps", env=environment).stdout)
        found = json.loads(self.fc.invoke_function("site", "page", json.dumps({"modules": ["six"]}).encode()).data)
        self.assertEqual(found["six"], "/opt/python/six.py")
        self.assertIn("Nothing to do", self.server.cli("deploy", folder, "-y", "--deps", env=environment).stdout)


if __name__ == "__main__":
    support.main()
