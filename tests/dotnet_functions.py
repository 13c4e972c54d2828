#!/usr/bin/env python3
""".NET functions in real sandboxes: deployed, called and triggered as the vendor's client does it.

Mayfly starts /usr/bin/dotnet. A machine without one runs this as root in a mount namespace of its own, in which the .NET of the test clients
lies there; nobody else sees it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import runtime_dotnet
import support
from runtime_dotnet import SKIPPED

INSIDE = "MAYFLY_TEST_INSIDE"  # set in the namespace: the folder that lies over /usr


def lay_over_usr(dotnet):
    """Runs this script again where dotnet's folder is /usr/lib/dotnet. The exit status, or None where that cannot be done."""
    home = pathlib.Path(dotnet).resolve().parent
    with tempfile.TemporaryDirectory(prefix=".dotnet-", dir=home.parent) as folder:
        layer = pathlib.Path(folder)
        os.chmod(layer, 0o755)
        for part in ("shared", "host"):
            shutil.copytree(home / part, layer / "lib/dotnet" / part, copy_function=os.link)
        os.link(home / "dotnet", layer / "lib/dotnet/dotnet")
        (layer / "bin").mkdir()
        (layer / "bin/dotnet").symlink_to("../lib/dotnet/dotnet")
        mount = f'mount -t overlay overlay -o "lowerdir={layer}:/usr" /usr'
        if subprocess.run(["unshare", "-m", "sh", "-c", mount], capture_output=True).returncode != 0:
            return None
        command = ["unshare", "-m", "sh", "-c", mount + ' && exec "$@"', "sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, INSIDE: str(layer), "MAYFLY_DOTNET": dotnet}).returncode


class DotnetFunctions(unittest.TestCase):
    built = None

    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("net")
        cls.package = support.zip_file(cls.built.package())

    def function(self, name, handler, **more):
        options = {"timeout": 30, "initializationTimeout": 60, "memorySize": 256, **more}
        self.fc.create_function("net", name, "dotnetcore3.1", handler, codeZipFile=self.package, **options)

    def call(self, name, payload=b""):
        return self.fc.invoke_function("net", name, payload=payload)

    def test_streams_objects_and_the_context(self):
        self.function("echo", "App::Example.Events::EchoLater")
        body = os.urandom(3 << 20)
        self.assertEqual(self.call("echo", body).data, body)
        self.function("poco", "App::Example.Events::Poco")
        self.assertEqual(self.call("poco", b'{"name":"a.jpg","Sizes":[3,7]}').data, b'{"In":"a.jpg","Faces":7}')
        self.function("context", "App::Example.Contexts::All", initializer="App::Example.Events::Initialize")
        seen = json.loads(self.call("context").data)
        self.assertEqual((seen["account"], seen["region"], seen["function"][0], seen["function"][3], seen["service"][0]), (self.server.account, support.REGION, "context", 256, "net"))
        self.assertTrue(all(seen["credentials"]))

    def test_an_instance_keeps_its_state_and_its_initializer_runs_once(self):
        self.function("count", "App::Example.Events::Count", initializer="App::Example.Events::Initialize")
        self.assertEqual([self.call("count").data for _ in range(3)], [b"11", b"12", b"13"])

    def test_several_calls_share_an_instance_where_the_function_allows_it(self):
        self.function("overlap", "App::Example.Events::Overlap", instanceConcurrency=2)
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            self.assertEqual(sorted(each.data for each in pool.map(lambda text: self.server.fc().invoke_function("net", "overlap", payload=text), (b"a", b"b"))), [b"a", b"b"])

    def test_the_heap_is_the_functions_memory(self):
        self.function("garbage", "App::Example.Events::Garbage", memorySize=128)
        self.assertEqual(self.call("garbage", b"1000").data, b"1000")
        self.function("hog", "App::Example.Events::Hog", memorySize=128)
        self.assertEqual(self.call("hog", b"20").data, b"20")
        import fc2
        with self.assertRaises(fc2.FcError) as raised:
            self.call("hog", b"120")
        self.assertEqual(json.loads(raised.exception.message)["errorType"], "System.OutOfMemoryException")
        self.assertEqual(self.call("hog", b"21").data, b"21", "the instance lives on")

    def test_errors_have_the_vendors_shape(self):
        self.function("throws", "App::Example.Failures::Throw")
        import fc2
        with self.assertRaises(fc2.FcError) as raised:
            self.call("throws", b"now")
        error = json.loads(raised.exception.message)
        self.assertEqual((error["errorMessage"], error["errorType"]), ("oops now", "System.IO.FileNotFoundException"))
        self.assertEqual(len(error["stackTrace"]), 2, error)

    def test_an_http_trigger_reaches_a_handler_of_asp_net(self):
        import requests
        self.function("web", "Web::Example.Web::HandleRequest")
        self.fc.create_trigger("net", "web", "http", "http", {"authType": "anonymous", "methods": ["PUT"]}, "", "")
        reply = requests.put(self.server.endpoint + "/2016-08-15/proxy/net/web/a%20b?a=1", data="body", headers={"X-Own": "v"}, timeout=60)
        self.assertEqual((reply.status_code, reply.headers["x-seen"]), (201, "v, 1"), reply.text)
        self.assertTrue(reply.text.startswith("PUT /2016-08-15/proxy/net/web|/a b 127.0.0.1 body "), reply.text)


if __name__ == "__main__":
    found = runtime_dotnet.find_dotnet()
    if not found or not pathlib.Path(support.BINARY).resolve().parent.parent.joinpath("runtimes/dotnet/mayfly.dll").exists():
        print("skipped: no dotnet, neither among the test clients nor as /usr/bin/dotnet, or none when Mayfly was built")
        sys.exit(SKIPPED)
    if not os.path.exists("/usr/bin/dotnet"):
        status = lay_over_usr(found) if os.geteuid() == 0 and INSIDE not in os.environ else None
        if status is None:
            print("skipped: there is no /usr/bin/dotnet, and nothing may be mounted over /usr here")
        sys.exit(SKIPPED if status is None else status)
    DotnetFunctions.built = runtime_dotnet.Built(found)
    unittest.main()
