#!/usr/bin/env python3
"""HTTP triggers and custom domains as a browser, curl and the vendor's client use them: methods, signatures, queries, WSGI, routes by host."""
import json
import unittest

import support

import requests  # from the libraries that support put on the path

WSGI = """
import json
def handler(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    status = environ.get("HTTP_X_WANT_STATUS", "200 OK")
    if environ.get("HTTP_X_RAISE"):
        raise ValueError("asked to")
    if environ.get("HTTP_X_BINARY"):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [body, b"\\x00\\xff"]
    start_response(status, [("Content-Type", "application/json"), ("X-Two", "one"), ("X-Two", "two"), ("Set-Cookie", "a=1"), ("Content-Length", "1")])
    return [json.dumps({
        "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
        "uri": environ["fc.request_uri"], "request_id": environ["fc.context"].request_id, "host": environ.get("HTTP_HOST"),
        "type": environ.get("CONTENT_TYPE"), "custom": environ.get("HTTP_X_CUSTOM"), "platform": environ.get("HTTP_X_FC_SECRET"),
        "body": body.decode(), "function": environ["fc.context"].function.name}).encode()]
"""


class HttpTriggers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("web")
        for name, auth, methods in (("open", "anonymous", ["GET", "POST", "HEAD"]), ("closed", "function", ["GET", "POST"])):
            cls.fc.create_function("web", name, "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": WSGI}))
            cls.fc.create_trigger("web", name, "http", "http", {"authType": auth, "methods": methods}, "", "")
        cls.base = cls.server.endpoint + "/2016-08-15/proxy/web/"

    def test_an_anonymous_request_reaches_the_function_whole(self):
        reply = requests.post(self.base + "open/a/b%20c?x=1%202&y=%E4%BA%BA&x=3", data="hello", timeout=60,
                              headers={"X-Custom": "seen", "X-Fc-Secret": "dropped", "Content-Type": "text/plain"})
        self.assertEqual(reply.status_code, 200, reply.text)
        seen = reply.json()
        self.assertEqual((seen["method"], seen["path"], seen["query"]), ("POST", "/a/b c", "x=1%202&y=%E4%BA%BA&x=3"))
        self.assertEqual((seen["body"], seen["type"], seen["custom"], seen["platform"]), ("hello", "text/plain", "seen", None))
        self.assertEqual((seen["function"], seen["request_id"]), ("open", reply.headers["x-fc-request-id"]))
        self.assertIn("/a/b%20c", seen["uri"])

    def test_the_answers_status_headers_and_bytes_are_the_functions(self):
        reply = requests.get(self.base + "open/", headers={"X-Want-Status": "418 I'm a teapot"}, timeout=60)
        self.assertEqual((reply.status_code, reply.headers["content-type"], reply.headers["set-cookie"]), (418, "application/json", "a=1"))
        self.assertEqual(reply.headers["x-two"], "one, two")
        self.assertGreater(int(reply.headers["content-length"]), 1, "the platform counts the length itself")
        self.assertNotIn("content-disposition", reply.headers)
        binary = requests.post(self.base + "open/", data=bytes(range(256)) * 1000, headers={"X-Binary": "1"}, timeout=60)
        self.assertEqual(binary.content, bytes(range(256)) * 1000 + b"\x00\xff")

    def test_a_chunked_request_body_arrives_as_one(self):
        reply = requests.post(self.base + "open/", data=iter([b"one ", b"two"]), timeout=60)
        self.assertEqual(reply.json()["body"], "one two")

    def test_a_head_answer_has_no_body(self):
        reply = requests.head(self.base + "open/", timeout=60)
        self.assertEqual((reply.status_code, reply.content), (200, b""))

    def test_a_method_that_is_not_listed_is_refused(self):
        reply = requests.delete(self.base + "open/", timeout=60)
        self.assertEqual((reply.status_code, reply.json()["ErrorCode"]), (403, "AccessDenied"))

    def test_function_auth_needs_a_good_signature(self):
        reply = requests.get(self.base + "closed/p", timeout=60)
        self.assertEqual((reply.status_code, reply.json()["ErrorCode"]), (400, "MissingRequiredHeader"))
        good = self.fc.do_http_request("POST", "web", "closed", "/a%20b", params={"k": "v w"}, body=b"signed")
        self.assertEqual(good.status_code, 200, good.text)
        self.assertEqual((good.json()["path"], good.json()["body"]), ("/a b", "signed"))
        import fc2
        wrong = fc2.Client(endpoint=self.server.endpoint, accessKeyID=self.server.key_id, accessKeySecret="wrong", Timeout=60)
        self.assertEqual(wrong.do_http_request("GET", "web", "closed", "/").status_code, 403)

    def test_an_exception_is_a_bad_gateway_that_names_it(self):
        reply = requests.get(self.base + "open/", headers={"X-Raise": "1"}, timeout=60)
        self.assertEqual(reply.status_code, 502)
        self.assertIn("asked to", reply.text)
        self.assertEqual(requests.get(self.base + "open/", timeout=60).status_code, 200, "the next request is served")

    def test_what_is_not_there_is_named(self):
        self.fc.create_function("web", "plain", "python3", "index.handler", codeZipFile=support.zip_file({"index.py": WSGI}))
        for path, code in (("plain/", "TriggerNotFound"), ("nothing/", "FunctionNotFound")):
            reply = requests.get(self.base + path, timeout=60)
            self.assertEqual((reply.status_code, reply.json()["ErrorCode"]), (404, code))

    def test_a_custom_domain_leads_by_host_and_longest_route(self):
        routes = [{"path": "/*", "serviceName": "web", "functionName": "open"}, {"path": "/closed/*", "serviceName": "web", "functionName": "closed"},
                  {"path": "/exact", "serviceName": "web", "functionName": "open", "methods": ["POST"]}]
        self.fc.create_custom_domain("faces.example.com", "HTTP", {"routes": routes})
        host = {"Host": "faces.example.com"}
        seen = requests.get(self.server.endpoint + "/some/where?q=1", headers=host, timeout=60)
        self.assertEqual((seen.status_code, seen.json()["path"], seen.json()["query"]), (200, "/some/where", "q=1"), seen.text)
        self.assertEqual(requests.get(self.server.endpoint + "/closed/x", headers=host, timeout=60).json()["ErrorCode"], "MissingRequiredHeader")
        self.assertEqual(requests.get(self.server.endpoint + "/", headers={"Host": "FACES.example.com:80"}, timeout=60).json()["path"], "/")
        self.fc.delete_custom_domain("faces.example.com")
        self.assertNotEqual(requests.get(self.server.endpoint + "/some/where", headers=host, timeout=60).status_code, 200)

    def test_the_call_is_logged_and_counted(self):
        self.assertEqual(requests.get(self.base + "open/", timeout=60).status_code, 200)
        recent = self.server.cli_json("describe", "web/open")["recent"]
        self.assertIn("http", {record["source"] for record in recent})


if __name__ == "__main__":
    support.main()
