"""The function that forks rehearse with: a little of what handlers do when they are imported and called."""
import datetime
import json
import logging
import os
import time

LIMIT = int(os.environ.get("LIMIT", "3"))
logger = logging.getLogger()


class Greeting:
    def __init__(self, name, numbers=()):
        self.name = name
        self.numbers = [number * 2 for number in numbers][:LIMIT]

    def as_dict(self):
        return {"hello": self.name, "sum": sum(self.numbers), "now": datetime.datetime.fromtimestamp(time.time(), datetime.timezone.utc).isoformat()}


def handler(event, context):
    wish = json.loads(event)
    greeting = Greeting(wish["name"], wish.get("numbers", ()))
    try:
        logger.debug("greeted %s", greeting.name)
        return json.dumps({**greeting.as_dict(), "request": context.request_id})
    except KeyError as missing:
        return f"{missing!r} is missing"
