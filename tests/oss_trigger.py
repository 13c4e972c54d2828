#!/usr/bin/env python3
"""Object triggers: a put runs the function its prefix and suffix select, once, with the vendor's event, also when the server dies right after it."""
import json
import time
import unittest

import support

# What arrived is written beside, outside of every filter, under the call's id: a second run would leave a second object.
RECORDER = """
import oss2
def handler(event, context):
    c = context.credentials
    bucket = oss2.Bucket(oss2.StsAuth(c.access_key_id, c.access_key_secret, c.security_token), "https://oss-cn-hangzhou-internal.aliyuncs.com", "seen")
    bucket.put_object(context.function.name + "/" + context.request_id, event)
"""
ROUNDS = 5


class ObjectTriggers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        for name in ("photos", "seen"):
            cls.server.bucket(name).create_bucket()
        fc = cls.server.fc()
        fc.create_service("watch", role=cls.server.role("watcher", "AliyunOSSFullAccess"))
        for function, events, prefix, suffix in (("jpgs", ["oss:ObjectCreated:*"], "in/", ".jpg"), ("removals", ["oss:ObjectRemoved:DeleteObject"], "in/", ""),
                                                 ("copies", ["oss:ObjectCreated:CopyObject", "oss:ObjectCreated:CompleteMultipartUpload"], "more/", "")):
            fc.create_function("watch", function, "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": RECORDER}))
            fc.create_trigger("watch", function, "photos", "oss", {"events": events, "filter": {"key": {"prefix": prefix, "suffix": suffix}}},
                              f"acs:oss:{support.REGION}:{cls.server.account}:photos", "")

    def records(self, function):
        """What the function saw, per call."""
        import oss2
        bucket = self.server.bucket("seen")
        return [json.loads(bucket.get_object(item.key).read())["events"][0] for item in oss2.ObjectIterator(bucket, prefix=function + "/")]

    def of(self, function, key):
        return [record for record in self.records(function) if record["oss"]["object"]["key"] == key]

    def wait_for(self, function, key):
        return support.wait_until(lambda: self.of(function, key), 30, f"the event of {key}")

    def test_the_event_has_the_vendors_shape(self):
        put = self.server.bucket("photos").put_object("in/shape 人.jpg", b"12345", headers={"Content-Type": "image/jpeg"})
        record = self.wait_for("jpgs", "in/shape 人.jpg")[0]
        self.assertEqual((record["eventName"], record["eventSource"], record["eventVersion"], record["region"]),
                         ("ObjectCreated:PutObject", "acs:oss", "1.0", support.REGION))
        self.assertRegex(record["eventTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$")
        bucket, thing = record["oss"]["bucket"], record["oss"]["object"]
        self.assertEqual((bucket["arn"], bucket["name"], bucket["ownerIdentity"]),
                         (f"acs:oss:{support.REGION}:{self.server.account}:photos", "photos", self.server.account))
        self.assertEqual((thing["size"], thing["deltaSize"], thing["eTag"], thing["objectMeta"]["mimeType"]), (5, 5, put.etag, "image/jpeg"))
        self.assertEqual((record["oss"]["ossSchemaVersion"], record["responseElements"]["requestId"]), ("1.0", put.request_id))
        self.assertTrue(record["oss"]["ruleId"])
        self.assertTrue(record["requestParameters"]["sourceIPAddress"])
        self.assertTrue(record["userIdentity"]["principalId"])

    def test_prefix_suffix_and_event_select(self):
        photos = self.server.bucket("photos")
        for key in ("in/a.png", "out/a.jpg", "a.jpg", "in/.jpg.txt"):
            photos.put_object(key, b"x")
        photos.put_object("in/last.jpg", b"x")
        self.wait_for("jpgs", "in/last.jpg")
        photos.delete_object("in/last.jpg")
        self.wait_for("removals", "in/last.jpg")
        self.assertEqual([r for key in ("in/a.png", "out/a.jpg", "a.jpg", "in/.jpg.txt") for r in self.of("jpgs", key)], [])
        self.assertEqual({record["eventName"] for record in self.of("jpgs", "in/last.jpg")}, {"ObjectCreated:PutObject"})
        self.assertEqual({record["eventName"] for record in self.of("removals", "in/last.jpg")}, {"ObjectRemoved:DeleteObject"})

    def test_copies_and_multipart_uploads_are_named(self):
        photos = self.server.bucket("photos")
        photos.put_object("more/plain", b"x")
        photos.copy_object("photos", "more/plain", "more/copy")
        upload = photos.init_multipart_upload("more/parts").upload_id
        import oss2
        part = photos.upload_part("more/parts", upload, 1, b"y")
        photos.complete_multipart_upload("more/parts", upload, [oss2.models.PartInfo(1, part.etag)])
        self.assertEqual(self.wait_for("copies", "more/copy")[0]["eventName"], "ObjectCreated:CopyObject")
        self.assertEqual(self.wait_for("copies", "more/parts")[0]["eventName"], "ObjectCreated:CompleteMultipartUpload")
        self.assertEqual(self.of("copies", "more/plain"), [])

    def test_a_put_that_failed_has_no_event(self):
        photos = self.server.bucket("photos")
        with self.assertRaises(Exception):
            photos.put_object("in/refused.jpg", b"x", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
        photos.put_object("in/after.jpg", b"x")
        self.wait_for("jpgs", "in/after.jpg")
        self.assertEqual(self.of("jpgs", "in/refused.jpg"), [])

    def test_a_kill_right_after_the_put_loses_no_event(self):
        keys = [f"in/killed-{n}.jpg" for n in range(ROUNDS)]
        for key in keys:
            self.server.bucket("photos").put_object(key, b"x")
            self.server.kill()
            self.server.start()
        for key in keys:
            self.assertTrue(self.wait_for("jpgs", key), key)
        for key in keys:
            self.assertEqual(len(self.of("jpgs", key)), 1, "a call that was cut is delivered again, as the same call")

    def test_without_kills_each_put_runs_exactly_once(self):
        keys = [f"in/once-{n}.jpg" for n in range(20)]
        for key in keys:
            self.server.bucket("photos").put_object(key, b"x")
        for key in keys:
            self.wait_for("jpgs", key)
        time.sleep(0.3)  # time for a second run, were there one
        self.assertEqual([len(self.of("jpgs", key)) for key in keys], [1] * len(keys))

    def test_overlapping_rules_are_refused_and_nesting_ones_are_not(self):
        fc = self.server.fc()
        source = f"acs:oss:{support.REGION}:{self.server.account}:photos"
        config = lambda prefix, suffix: {"events": ["oss:ObjectCreated:*"], "filter": {"key": {"prefix": prefix, "suffix": suffix}}}
        with self.assertRaises(Exception):
            fc.create_trigger("watch", "removals", "overlaps", "oss", config("in/sub/", ".jpg"), source, "")
        fc.create_trigger("watch", "removals", "beside", "oss", config("in/", ".gif"), source, "")
        fc.delete_trigger("watch", "removals", "beside")


if __name__ == "__main__":
    support.main()
