#!/usr/bin/env python3
"""The contract with a Java handler (aliyun-fc.md 5.4), as runtimes/java keeps it: no server and no sandbox, frames over a stream. What needs
either is in src/runtime/java_test.cc."""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import worker_driver
from worker_driver import CHUNK, HANDLED_ERROR, HEAD, MAX_PAYLOAD, OK, REPLY, SOURCE

RUNTIME = SOURCE / "runtimes/java"
GSON, SERVLET_API = "/usr/share/java/gson.jar", "/usr/share/java/servlet-api.jar"
SKIPPED = 77  # ctest's word for it, see CMakeLists.txt

# Methods that the tests name as handlers.
APP = r"""
package example;

import com.aliyun.fc.runtime.*;
import java.io.*;
import javax.servlet.http.*;

public class App {
  private HttpServletResponse response;

  private static String all(Context context) {
    Credentials keys = context.getExecutionCredentials();
    return String.join(" ", context.getRequestId(), keys.getAccessKeyId(), keys.getAccessKeySecret(), keys.getSecurityToken(), System.getenv("ALIBABA_CLOUD_ACCESS_KEY_ID"),
                       System.getenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET"), System.getenv("ALIBABA_CLOUD_SECURITY_TOKEN"));
  }
  public void init(Context context) { System.out.println(all(context)); }
  public void stop(Context context) { System.out.println(all(context)); }
  public void freeze(Context context) { throw new IllegalStateException("too cold"); }
  public String show(String event, Context context) { return all(context); }
  public String child(String event, Context context) throws IOException {
    ProcessBuilder builder = new ProcessBuilder("/usr/bin/printenv", "ALIBABA_CLOUD_SECURITY_TOKEN");
    builder.environment();
    return new String(builder.start().getInputStream().readAllBytes());
  }

  public byte[] sized(String size, Context context) { return new byte[Integer.parseInt(size)]; }

  public void page(HttpServletRequest request, HttpServletResponse response, Context context) throws IOException {
    this.response = response;
    for (String word : request.getParameter("do").split(",")) step(word);
  }
  private void step(String word) throws IOException {
    String value = word.contains(":") ? word.substring(word.indexOf(':') + 1) : "";
    switch (word.split(":")[0]) {
      case "type": response.setContentType(value); break;
      case "header": response.setHeader("content-type", value); break;
      case "own": response.setHeader("X-Own", value); break;
      case "encoding": response.setCharacterEncoding(value); break;
      case "write": response.getWriter().write(value); break;
      case "bytes": response.getOutputStream().write(value.getBytes("UTF-8")); break;
      case "big": response.getOutputStream().write(new byte[Integer.parseInt(value)]); break;
      case "status": response.setStatus(Integer.parseInt(value)); break;
      case "flush": response.flushBuffer(); break;
      case "reset": response.reset(); break;
      case "clear": response.resetBuffer(); break;
      case "error": response.sendError(Integer.parseInt(value), "no photo"); break;
      case "redirect": response.sendRedirect(value); break;
      case "tell": response.getWriter().write(response.getContentType() + "|" + response.getCharacterEncoding() + "|" + response.isCommitted()); break;
    }
  }
}
"""


class Built:
    """The runtime and the tests' package, compiled once: jars as the build makes them."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mayfly-java-")
        self.out = pathlib.Path(self.folder.name)
        self.jar("mayfly", "main", GSON)
        self.jar("contract", "contract", SERVLET_API)
        self.jar("function", "function", f"{self.out}/mayfly.jar", f"{self.out}/contract.jar", SERVLET_API)
        (self.out / "App.java").write_text(APP)
        self.compile(self.out / "app", [self.out / "App.java"], f"{self.out}/contract.jar", SERVLET_API)
        self.package = {"example/App.class": (self.out / "app/example/App.class").read_bytes()}
        self.command = ("/usr/bin/java", "-Xmx512m", f"@{RUNTIME}/options", "-cp", f"{self.out}/mayfly.jar:{GSON}", "mayfly.Main")

    def compile(self, out, sources, *class_path):
        subprocess.run(["javac", "--release", "11", "-Xlint:all", "-Werror", "-cp", ":".join(class_path), "-d", out, *sources], check=True)

    def jar(self, name, folder, *class_path):
        self.compile(self.out / name, glob.glob(f"{RUNTIME}/{folder}/**/*.java", recursive=True), *class_path)
        subprocess.run(["jar", "--create", "--file", f"{self.out}/{name}.jar", "-C", self.out / name, "."], check=True)


class JavaTest(worker_driver.WorkerTest):
    """What the tests give as code is the name of a method of App."""
    built = None

    @classmethod
    def launch(cls, method, **more):
        return worker_driver.Worker(list(cls.built.command), cls.built.package, handler="example.App::" + method, **more)


class Results(JavaTest):
    def test_a_result_beyond_the_limit_is_an_error_that_says_so_and_the_instance_lives_on(self):
        worker = self.started("sized")
        self.assertEqual(len(worker.call(b"%d" % MAX_PAYLOAD).payload), MAX_PAYLOAD)
        reply = worker.call(b"%d" % (MAX_PAYLOAD + 1))
        self.assertEqual((reply.status, reply.json()["errorType"]), (HANDLED_ERROR, "ResultTooLarge"))
        self.assertEqual(reply.json()["errorMessage"], f"The result has {MAX_PAYLOAD + 1} bytes; at most {MAX_PAYLOAD} can be answered at once, stream it instead")
        self.assertEqual(worker.call(b"1").payload, b"\0")


class Credentials(JavaTest):
    def test_calls_initializers_and_hooks_have_the_request_and_the_credentials_that_are_sent(self):
        for concurrency in (1, 2):
            worker = self.started("show", initializer="example.App::init", pre_stop="example.App::stop", concurrency=concurrency)
            self.assertEqual(worker.call(credentials=("k2", "s2", "t2")).payload, b"request-1 k2 s2 t2 k2 s2 t2")
            self.assertEqual(worker.hook("preStop", request="r3", credentials=("k3", "s3", "t3")).status, OK)
            worker.hook("preStop", credentials=None)
            self.assertEqual(worker.printed(), "init-1 STS.key secret token STS.key secret token\nr3 k3 s3 t3 k3 s3 t3\n k3 s3 t3 k3 s3 t3\n")

    def test_child_processes_that_are_given_the_environment_have_them_too(self):
        worker = self.started("child")
        self.assertEqual([worker.call().payload, worker.call(credentials=("k2", "s2", "t2")).payload], [b"token\n", b"t2\n"])

    def test_what_a_hook_throws_is_printed_and_changes_nothing(self):
        worker = self.started("show", pre_freeze="example.App::freeze")
        self.assertEqual(worker.hook("preFreeze").kind, REPLY)
        self.assertRegex(worker.printed(), r"^java\.lang\.IllegalStateException: too cold\n\tat example\.App\.freeze")
        self.assertEqual(worker.call().status, OK)


class Responses(JavaTest):
    """HttpServletResponse, as its API has it."""

    @classmethod
    def setUpClass(cls):
        cls.one = cls.launch("page")
        for end in (cls.one.output.close, cls.one.process.wait, cls.one.process.kill, cls.one.socket.close):
            cls.addClassCleanup(end)

    def steps(self, *words):
        """(status, Content-Type, body) of an answer made by these."""
        status, headers, body = self.one.http(queries={"do": [",".join(words)]})
        return status, {name.lower(): values for name, values in (headers or {}).items()}.get("content-type", [None])[0], body

    def test_the_charset_of_the_content_type_is_the_writers(self):
        self.assertEqual(self.steps("type:text/html; charset=GBK", "write:中"), (200, "text/html; charset=GBK", "中".encode("gbk")))
        self.assertEqual(self.steps('header:text/html;charset="gbk"', "write:中"), (200, 'text/html;charset="gbk"', "中".encode("gbk")))
        self.assertEqual(self.steps("type:text/html;charset=GBK", "type:text/plain", "write:中"), (200, "text/plain; charset=GBK", "中".encode("gbk")))

    def test_the_character_encoding_reaches_the_header(self):
        for steps in (("type:text/html", "encoding:GBK"), ("encoding:GBK", "type:text/html"), ("type:text/html; charset=utf-8", "encoding:GBK")):
            self.assertEqual(self.steps(*steps, "write:中"), (200, "text/html; charset=GBK", "中".encode("gbk")), steps)
        self.assertEqual(self.steps("encoding:GBK", "type:text/html", "tell"), (200, "text/html; charset=GBK", b"text/html; charset=GBK|GBK|false"))

    def test_once_there_is_a_writer_its_encoding_stays_and_is_named(self):
        self.assertEqual(self.steps("type:text/html", "write:中", "encoding:GBK", "write:中"), (200, "text/html; charset=UTF-8", "中中".encode()))
        self.assertEqual(self.steps("write:中", "type:text/html; charset=GBK", "write:中"), (200, "text/html; charset=UTF-8", "中中".encode()))

    def test_bytes_have_no_charset_and_an_unknown_one_is_told_when_it_is_needed(self):
        self.assertEqual(self.steps("type:image/png", "bytes:x"), (200, "image/png", b"x"))
        self.assertEqual(self.steps("type:text/html; charset=klingon", "bytes:x"), (200, "text/html; charset=klingon", b"x"))
        self.one.send_call(http={"method": "GET", "path": "/", "requestURI": "/", "headers": {}, "queries": {"do": ["encoding:klingon,write:x"]}})
        self.assertEqual(self.one.receive().json()["errorType"], "java.io.UnsupportedEncodingException")

    def test_reset_forgets_all_and_reset_buffer_the_body(self):
        before = ("status:201", "type:text/html; charset=GBK", "write:old", "bytes:old")
        self.assertEqual(self.steps(*before, "reset", "write:中"), (200, None, "中".encode()))
        self.assertEqual(self.steps(*before, "clear", "write:中"), (201, "text/html; charset=GBK", "中".encode("gbk")))

    def test_an_error_is_the_whole_answer(self):
        plain = "text/plain; charset=utf-8"
        self.assertEqual(self.steps("type:text/html; charset=GBK", "write:old", "bytes:old", "error:404"), (404, plain, b"no photo"))
        self.assertEqual(self.steps("error:404", "write:more", "bytes:more", "status:200", "type:text/html"), (404, plain, b"no photo"))
        status, headers, body = self.one.http(queries={"do": ["own:kept,write:old,redirect:/there,write:more"]})
        self.assertEqual((status, headers, body), (302, {"X-Own": ["kept"], "Location": ["/there"]}, b""))

    def test_what_is_committed_cannot_be_taken_back(self):
        for late in ("reset", "clear", "error:404", "redirect:/there"):
            self.one.send_call(http={"method": "GET", "path": "/", "requestURI": "/", "headers": {}, "queries": {"do": ["bytes:x,flush," + late]}})
            end = self.one.reply_frames()[-1]
            self.assertEqual((end.status, end.json()["errorType"]), (HANDLED_ERROR, "java.lang.IllegalStateException"), late)
        self.one.send_call(http={"method": "GET", "path": "/", "requestURI": "/", "headers": {}, "queries": {"do": ["error:404,error:500"]}})
        self.assertEqual(self.one.receive().json()["errorType"], "java.lang.IllegalStateException")

    def test_a_large_streamed_write_is_sent_in_parts(self):
        self.one.send_call(http={"method": "GET", "path": "/", "requestURI": "/", "headers": {}, "queries": {"do": [f"flush,big:{(34 << 20) + 1},bytes:x"]}})
        parts = self.one.reply_frames()
        self.assertEqual(([part.kind for part in parts], parts[-1].status), ([HEAD] + [CHUNK] * 36 + [REPLY], OK))
        self.assertEqual([len(part.payload) for part in parts], [0] + [1 << 20] * 34 + [1, 1, 0])

    def test_a_large_body_that_is_not_streamed_is_an_error(self):
        self.one.send_call(http={"method": "GET", "path": "/", "requestURI": "/", "headers": {}, "queries": {"do": [f"big:{34 << 20}"]}})
        reply = self.one.receive()
        self.assertEqual((reply.kind, reply.meta, reply.json()["errorType"]), (REPLY, b"", "ResultTooLarge"))


if __name__ == "__main__":
    missing = [each for each in ("javac", "jar", "/usr/bin/java") if not shutil.which(each)] + [each for each in (GSON, SERVLET_API) if not os.path.exists(each)]
    if missing:
        print("skipped: no Java here, there is no " + ", ".join(missing))
        sys.exit(SKIPPED)
    JavaTest.built = Built()
    unittest.main()
