#!/usr/bin/env python3
"""Java functions on a real server, as the vendor's documentation shapes them: compiled here, packed as a jar, called by the vendor's client."""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import support

import requests  # from the libraries that support put on the path

SKIPPED = 77
BUILT = pathlib.Path(support.BINARY).resolve().parent.parent / "runtimes/java"
SERVLET_API = "/usr/share/java/servlet-api.jar"

SOURCES = {
    "Counter.java": """
        package example;
        import com.aliyun.fc.runtime.*;
        import java.io.*;
        public class Counter implements StreamRequestHandler, FunctionInitializer {
            private int counter = 0;
            @Override public void initialize(Context context) throws IOException { counter = 1; }
            @Override public void handleRequest(InputStream input, OutputStream output, Context context) throws IOException {
                String event = new String(input.readAllBytes());
                context.getLogger().info("event: " + event);
                if (event.equals("fail")) throw new IllegalArgumentException("no face");
                output.write(String.valueOf(++counter).getBytes());
            }
        }""",
    "Resize.java": """
        package example;
        import com.aliyun.fc.runtime.*;
        import java.util.*;
        public class Resize implements PojoRequestHandler<Resize.Order, Resize.Done> {
            public static class Order { private String name; private List<Integer> sizes;
                public String getName() { return name; } public void setName(String name) { this.name = name; }
                public List<Integer> getSizes() { return sizes; } public void setSizes(List<Integer> sizes) { this.sizes = sizes; } }
            public static class Done { public String name, function, service; public int total; }
            @Override public Done handleRequest(Order order, Context context) {
                Done done = new Done();
                done.name = order.getName();
                done.function = context.getFunctionParam().getFunctionName();
                done.service = context.getService().getName();
                for (int size : order.getSizes()) done.total += size;
                return done;
            }
        }""",
    "Web.java": """
        package example;
        import com.aliyun.fc.runtime.*;
        import java.io.*;
        import javax.servlet.http.*;
        public class Web implements HttpRequestHandler {
            @Override public void handleRequest(HttpServletRequest request, HttpServletResponse response, Context context) throws IOException {
                response.setStatus(202);
                response.setHeader("X-Request", context.getRequestId());
                response.setContentType("text/plain");
                response.getOutputStream().write((request.getMethod() + " " + request.getParameter("x") + " ").getBytes());
                response.getOutputStream().write(request.getInputStream().readAllBytes());
            }
        }""",
}


def jar():
    """The package: one jar at its root, as `mvn package` leaves it."""
    with tempfile.TemporaryDirectory(prefix="mayfly-java-") as folder:
        for name, text in SOURCES.items():
            pathlib.Path(folder, name).write_text(text)
        subprocess.run(["javac", "--release", "11", "-cp", f"{BUILT}/contract.jar:{SERVLET_API}", "-d", f"{folder}/classes", *SOURCES], cwd=folder, check=True)
        subprocess.run(["jar", "--create", "--file", f"{folder}/app.jar", "-C", f"{folder}/classes", "."], check=True)
        return pathlib.Path(folder, "app.jar").read_bytes()


class JavaFunctions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("java")
        cls.package = support.zip_file({"app.jar": jar()})

    def create(self, name, handler, **more):
        options = {"timeout": 30, "initializationTimeout": 30, "memorySize": 256, **more}
        self.fc.create_function("java", name, "java11", handler, codeZipFile=self.package, **options)

    def invoke(self, name, payload, **headers):
        return self.fc.invoke_function("java", name, payload=payload, headers=headers)

    def test_a_stream_function_keeps_its_state_and_tells_its_errors(self):
        import fc2
        self.create("counter", "example.Counter::handleRequest", initializer="example.Counter::initialize")
        self.assertEqual(self.invoke("counter", b"one").data, b"2")
        reply = self.invoke("counter", b"two", **{"x-fc-log-type": "Tail"})
        self.assertEqual(reply.data, b"3")
        self.assertIn(reply.headers["x-fc-request-id"] + " [INFO] event: two\n", base64.b64decode(reply.headers["x-fc-log-result"]).decode())
        with self.assertRaises(fc2.fc_exceptions.FcError) as caught:
            self.invoke("counter", b"fail")
        error = json.loads(caught.exception.message)
        self.assertEqual((error["errorMessage"], error["errorType"]), ("no face", "java.lang.IllegalArgumentException"))
        self.assertEqual(error["stackTrace"], ["example.Counter.handleRequest(Counter.java:11)"])

    def test_an_object_function(self):
        self.create("resize", "example.Resize::handleRequest")
        self.assertEqual(json.loads(self.invoke("resize", b'{"name":"a.jpg","sizes":[3,7]}').data),
                         {"name": "a.jpg", "function": "resize", "service": "java", "total": 10})

    def test_an_http_function(self):
        self.create("web", "example.Web::handleRequest")
        self.fc.create_trigger("java", "web", "http", "http", {"authType": "anonymous", "methods": ["POST"]}, "", "")
        reply = requests.post(self.server.endpoint + "/2016-08-15/proxy/java/web/a?x=1", data="posted", timeout=60)
        self.assertEqual((reply.status_code, reply.text, reply.headers["content-type"]), (202, "POST 1 posted", "text/plain"))
        self.assertEqual(len(reply.headers["x-request"]), 36)

    def test_a_handler_that_is_not_there_is_told(self):
        import fc2
        for handler, words in (("example.None::handleRequest", "the package has no class example.None"), ("example.Web::none", "has no public method none")):
            self.create(handler[-4:], handler)
            with self.assertRaises(fc2.fc_exceptions.FcError) as caught:
                self.invoke(handler[-4:], b"")
            self.assertIn(words, json.loads(caught.exception.message)["errorMessage"])


if __name__ == "__main__":
    if not BUILT.joinpath("contract.jar").exists():
        print("skipped: this build has no Java runtime (see cmake's output)")
        sys.exit(SKIPPED)
    support.main()
