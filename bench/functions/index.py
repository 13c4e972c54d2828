"""The benches' functions in Python, those of functions.cc."""
import json
import time


def hello(event, context):
    return json.dumps({"hello": json.loads(event)["name"]})


def page(environ, start_response):
    body = json.dumps({"hello": json.loads(environ["wsgi.input"].read())["name"]}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def echo(event, context):
    wish = json.loads(event)
    time.sleep(wish["ms"] / 1000)
    print("echo", wish["nonce"])
    return json.dumps({"nonce": wish["nonce"]})


def nap(event, context):
    began = time.monotonic_ns() // 1000
    time.sleep(json.loads(event)["ms"] / 1000)
    return json.dumps({"began_us": began})


def work(event, context):
    end = time.thread_time_ns() + json.loads(event)["us"] * 1000
    while time.thread_time_ns() < end:
        pass
    return "done"
