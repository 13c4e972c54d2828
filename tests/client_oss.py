#!/usr/bin/env python3
"""Object storage through the vendor's own Python and Node clients, unmodified, in each signature version."""
import io
import os
import subprocess
import threading
import time
import unittest
from unittest import mock

import support


class ObjectStorage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import oss2
        cls.oss2 = oss2
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.buckets = {version: cls.server.bucket("photos-" + version.lower(), auth) for version, auth in
                       (("v1", oss2.Auth), ("v2", oss2.AuthV2), ("v4", oss2.AuthV4))}
        for bucket in cls.buckets.values():
            bucket.create_bucket()

    def each(self):
        for version, bucket in self.buckets.items():
            with self.subTest(signature=version):
                yield bucket

    def test_bytes_metadata_and_checksum_come_back(self):
        for bucket in self.each():
            for size in (0, 1, 16 * 1024, 16 * 1024 + 1, 3 << 20):
                body = os.urandom(size)
                put = bucket.put_object("dir/一 file+&.bin", body, headers={"x-oss-meta-Color": "green", "Content-Type": "x/y"})
                got = bucket.get_object("dir/一 file+&.bin")
                self.assertEqual(got.read(), body)
                self.assertEqual((got.headers["x-oss-meta-color"], got.content_type, got.etag), ("green", "x/y", put.etag))

    def test_ranges_and_conditions(self):
        for bucket in self.each():
            bucket.put_object("range", b"0123456789")
            self.assertEqual(bucket.get_object("range", byte_range=(2, 4)).read(), b"234")
            self.assertEqual(bucket.get_object("range", byte_range=(None, 3)).read(), b"789")
            etag = bucket.head_object("range").etag
            with self.assertRaises(self.oss2.exceptions.NotModified):
                bucket.get_object("range", headers={"If-None-Match": etag})
            with self.assertRaises(self.oss2.exceptions.PreconditionFailed):
                bucket.get_object("range", headers={"If-Match": '"no"'})

    def test_lists_page_and_fold_prefixes(self):
        for bucket in self.each():
            for n in range(25):
                bucket.put_object(f"list/{n % 5}/{n:02}", b"")
            self.assertEqual([o.key for o in self.oss2.ObjectIterator(bucket, prefix="list/", delimiter="/", max_keys=2)], [f"list/{n}/" for n in range(5)])
            self.assertEqual(len(list(self.oss2.ObjectIteratorV2(bucket, prefix="list/", max_keys=7))), 25)

    def test_multipart_append_copy_and_delete(self):
        for bucket in self.each():
            upload = bucket.init_multipart_upload("big").upload_id
            parts = []
            for number, size in ((1, 200 * 1024), (2, 100)):
                result = bucket.upload_part("big", upload, number, b"x" * size)
                parts.append(self.oss2.models.PartInfo(number, result.etag, size=size, part_crc=result.crc))
            self.assertTrue(bucket.complete_multipart_upload("big", upload, parts).etag.endswith("-2"))
            self.assertEqual(bucket.head_object("big").content_length, 200 * 1024 + 100)
            position = bucket.append_object("log", 0, b"one").next_position
            bucket.append_object("log", position, b"two")
            self.assertEqual(bucket.get_object("log").read(), b"onetwo")
            with self.assertRaises(self.oss2.exceptions.PositionNotEqualToLength):
                bucket.append_object("log", 1, b"x")
            bucket.copy_object(bucket.bucket_name, "log", "log copy")
            self.assertEqual(bucket.get_object("log copy").read(), b"onetwo")
            bucket.batch_delete_objects(["log", "log copy", "big", "never was"])
            self.assertFalse(bucket.object_exists("log"))

    def test_streams_of_unknown_length_arrive_whole(self):
        for bucket in self.each():
            bucket.put_object("stream", iter([b"a" * 70000, b"b" * 5]))
            self.assertEqual(bucket.head_object("stream").content_length, 70005)

    def test_presigned_urls_work_and_wrong_signatures_do_not(self):
        import requests
        for bucket in self.each():
            bucket.put_object("signed", b"secret")
            self.assertEqual(requests.get(bucket.sign_url("GET", "signed", 60)).content, b"secret")
            self.assertEqual(requests.get(bucket.sign_url("GET", "signed", 60)[:-3] + "abc").status_code, 403)
            anonymous = self.oss2.Bucket(self.oss2.AnonymousAuth(), self.server.endpoint, bucket.bucket_name)
            with self.assertRaises(self.oss2.exceptions.AccessDenied):
                anonymous.get_object("signed")
            bucket.put_object_acl("signed", self.oss2.OBJECT_ACL_PUBLIC_READ)
            self.assertEqual(anonymous.get_object("signed").read(), b"secret")

    def test_a_wrong_key_a_wrong_date_and_a_wrong_digest_are_named(self):
        wrong = self.oss2.Bucket(self.oss2.Auth(self.server.key_id, "wrong"), self.server.endpoint, "photos-v1")
        with self.assertRaises(self.oss2.exceptions.SignatureDoesNotMatch):
            wrong.get_object("x")
        unknown = self.oss2.Bucket(self.oss2.Auth("nobody", "x"), self.server.endpoint, "photos-v1")
        with self.assertRaises(self.oss2.exceptions.ServerError) as caught:
            unknown.get_object("x")
        self.assertEqual(caught.exception.code, "InvalidAccessKeyId")
        bucket = self.buckets["v1"]
        with mock.patch("oss2.utils.http_date", return_value="Fri, 20 Nov 2020 10:00:00 GMT"), self.assertRaises(self.oss2.exceptions.ServerError) as caught:
            bucket.put_object("x", b"y")
        self.assertEqual(caught.exception.code, "RequestTimeTooSkewed")
        with self.assertRaises(self.oss2.exceptions.ServerError) as caught:
            bucket.put_object("x", b"y", headers={"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="})
        self.assertEqual(caught.exception.code, "InvalidDigest")
        with self.assertRaises(self.oss2.exceptions.NoSuchKey):
            bucket.get_object("not there")
        with self.assertRaises(self.oss2.exceptions.NoSuchBucket):
            self.server.bucket("no-such-bucket").get_object("x")

    def test_malformed_xml_is_refused(self):
        result = self.buckets["v1"]._do  # the client's own request path, so that the signature is right
        with self.assertRaises(self.oss2.exceptions.ServerError) as caught:
            result("POST", "photos-v1", "", data=b"<Delete><Object>", params={"delete": ""})
        self.assertEqual(caught.exception.code, "MalformedXML")

    def test_an_acknowledged_object_survives_kill_9(self):
        server = support.Mayfly()
        self.addCleanup(server.close)
        bucket = server.bucket("durable")
        bucket.create_bucket()
        acknowledged, stop = [], threading.Event()

        def put_for_ever(worker):
            mine, count = server.bucket("durable"), 0
            while not stop.is_set():
                key, body = f"{worker}/{count}", os.urandom(100 if count % 3 else 40_000)
                try:
                    etag = mine.put_object(key, body).etag
                except Exception:
                    return
                acknowledged.append((key, etag, len(body)))
                count += 1

        for _ in range(3):
            stop.clear()
            workers = [threading.Thread(target=put_for_ever, args=(f"{len(acknowledged)}-{n}",)) for n in range(4)]
            for worker in workers:
                worker.start()
            time.sleep(1)
            server.kill()
            stop.set()
            for worker in workers:
                worker.join()
            server.start()
        self.assertGreater(len(acknowledged), 30)
        bucket = server.bucket("durable")
        for key, etag, size in acknowledged:
            got = bucket.get_object(key)
            self.assertEqual(len(got.read()), size)
            self.assertEqual(got.etag, etag)

    def test_the_node_client_gets_the_same(self):
        script = support.SOURCE / "tests/clients/node/oss.js"
        for v4 in ("", "1"):
            result = subprocess.run(["node", script], env={**self.server.environment(), "V4": v4}, capture_output=True, text=True, timeout=120)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    support.main()
