"""The benches' function for nuclio: JSON in, JSON out."""
import json


def handler(context, event):
    body = event.body if isinstance(event.body, dict) else json.loads(event.body)
    return context.Response(body=json.dumps({"hello": body["name"]}), content_type="application/json")
