#!/usr/bin/env python3
"""A function's credentials can do exactly what its service's policies say, checked with code that runs inside a sandbox."""
import json
import unittest

import support

TRIES = """
import json
import oss2
def handler(event, context):
    c = context.credentials
    bucket = oss2.Bucket(oss2.StsAuth(c.access_key_id, c.access_key_secret, c.security_token), "https://oss-cn-hangzhou-internal.aliyuncs.com", "data")
    results = {}
    for name, act in {
        "get": lambda: bucket.get_object("in/a").read(),
        "get_outside": lambda: bucket.get_object("secret/a").read(),
        "put": lambda: bucket.put_object("out/b", b"x"),
        "delete": lambda: bucket.delete_object("in/a"),
        "list": lambda: len(bucket.list_objects().object_list),
        "other_bucket": lambda: oss2.Bucket(bucket.auth, bucket.endpoint, "other").get_object("x").read(),
    }.items():
        try:
            act()
            results[name] = "ok"
        except oss2.exceptions.OssError as error:
            results[name] = error.code
    return results
"""


def statement(effect, actions, resources):
    return {"Effect": effect, "Action": actions, "Resource": resources}


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        for name in ("data", "other"):
            cls.server.bucket(name).create_bucket()
        cls.server.bucket("data").put_object("secret/a", b"1")
        cls.server.bucket("other").put_object("x", b"1")
        cls.fc = cls.server.fc()

    def results(self, service, statements):
        """What TRIES may do in a service with this role."""
        role = ""
        if statements is not None:
            trust = {"Version": "1", "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["fc.aliyuncs.com"]}}]}
            role = self.server.ram("CreateRole", RoleName=service, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
            self.server.ram("CreatePolicy", PolicyName=service, PolicyDocument=json.dumps({"Version": "1", "Statement": statements}))
            self.server.ram("AttachPolicyToRole", PolicyName=service, PolicyType="Custom", RoleName=service)
        self.server.bucket("data").put_object("in/a", b"1")
        self.fc.create_service(service, role=role)
        self.fc.create_function(service, "tries", "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": TRIES}))
        return json.loads(self.fc.invoke_function(service, "tries").data)

    def test_without_a_role_nothing_is_allowed(self):
        self.assertEqual(set(self.results("none", None).values()), {"AccessDenied"})

    def test_what_is_allowed_is_allowed_and_nothing_else(self):
        got = self.results("reader", [statement("Allow", ["oss:GetObject"], ["acs:oss:*:*:data/in/*"]), statement("Allow", "oss:PutObject", "acs:oss:*:*:data/out/*")])
        self.assertEqual(got, {"get": "ok", "get_outside": "AccessDenied", "put": "ok", "delete": "AccessDenied", "list": "AccessDenied", "other_bucket": "AccessDenied"})

    def test_deny_beats_allow(self):
        got = self.results("guarded", [statement("Allow", "oss:*", "*"), statement("Deny", "oss:Get*", "acs:oss:*:*:data/secret/*"), statement("Deny", "*", ["acs:oss:*:*:other/*"])])
        self.assertEqual((got["get_outside"], got["other_bucket"], got["list"], got["put"]), ("AccessDenied", "AccessDenied", "ok", "ok"))

    def test_a_flows_tasks_do_what_the_flows_role_may_do(self):
        from aliyunsdkfnf.request.v20190315 import CreateFlowRequest, DescribeExecutionRequest, StartExecutionRequest
        self.fc.create_service("steps")
        self.fc.create_function("steps", "one", "python3", "index.handler", codeZipFile=support.zip_file({"index.py": "def handler(e, c):\n    return '{}'\n"}))
        ends = {}
        for policy in ("AliyunFCInvocationAccess", "AliyunOSSFullAccess"):
            self.server.fnf(CreateFlowRequest.CreateFlowRequest, Name=policy, Description="", Type="FDL", RoleArn=self.server.role("flow-" + policy, policy),
                            Definition="version: v1\ntype: flow\nsteps: [{type: task, name: t, resourceArn: 'acs:fc:::services/steps/functions/one'}]")
            self.server.fnf(StartExecutionRequest.StartExecutionRequest, FlowName=policy, ExecutionName="run")
            ends[policy] = self.server.fnf(DescribeExecutionRequest.DescribeExecutionRequest, FlowName=policy, ExecutionName="run", WaitTimeSeconds=30)
        self.assertEqual(ends["AliyunFCInvocationAccess"]["Status"], "Succeeded", ends)
        self.assertEqual((ends["AliyunOSSFullAccess"]["Status"], ends["AliyunOSSFullAccess"]["Error"]), ("Failed", "FC.AccessDenied"), ends)


if __name__ == "__main__":
    support.main()
