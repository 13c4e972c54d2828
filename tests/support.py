"""A running Mayfly for a test: started on a free loopback port with a data folder of its own, ended with the test."""
import atexit
import io
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
import zipfile

BINARY = os.environ.get("MAYFLY_BINARY", "build/dev/bin/mayfly")
SOURCE = pathlib.Path(os.environ.get("MAYFLY_SOURCE", pathlib.Path(__file__).resolve().parent.parent))
LIBRARIES = os.environ.get("MAYFLY_TEST_LIBRARIES", "")
CLIENTS = os.environ.get("MAYFLY_TEST_CLIENTS", "")
PHOTOS = os.environ.get("MAYFLY_TEST_PHOTOS", "")
REGION = "cn-hangzhou"
START_TIMEOUT_S = 60  # a loaded machine, a debug build

if LIBRARIES:
    sys.path.insert(0, LIBRARIES)
logging.disable(logging.CRITICAL)          # the vendors' clients log every refusal that a test asks for
warnings.simplefilter("ignore", ResourceWarning)  # and leave files open


class Mayfly:
    """One server on one data folder; start and kill as often as a test likes."""
    runner = ()  # a command that runs the server

    def __init__(self, *arguments):
        self.data = self.make_data()
        self.arguments = list(arguments)
        self.process = None
        self.log = open(os.path.join(self.data, "server.out"), "ab")
        self.start()

    def make_data(self):
        return tempfile.mkdtemp(prefix="mayfly-test-")

    def start(self):
        info = pathlib.Path(self.data, "server.json")
        info.unlink(missing_ok=True)
        command = [*self.runner, BINARY, "up", "--data-dir", self.data, "--port", "0", "--tls-port", "0", "--runtimes", str(SOURCE / "runtimes"), *self.arguments]
        if LIBRARIES:
            command += ["--libraries", LIBRARIES]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not info.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mayfly did not start (exit {self.process.poll()}):\n{self.output()[-4000:]}")
            time.sleep(0.01)
        self.info = json.loads(info.read_text())
        self.endpoint = self.info["endpoint"]
        keys = json.loads(pathlib.Path(self.data, "keys.json").read_text())
        self.account, self.key_id, self.key_secret = keys["accountId"], keys["accessKeyId"], keys["accessKeySecret"]

    def output(self):
        return pathlib.Path(self.data, "server.out").read_text(errors="replace")

    def kill(self):
        """What a power cut does to the process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        return self.process.returncode

    def close(self):
        try:
            self.stop()
        finally:
            self.log.close()
            shutil.rmtree(self.data, ignore_errors=True)

    def environment(self):
        """For vendor clients run as a process."""
        return {**os.environ, "ENDPOINT": self.endpoint, "ACCOUNT_ID": self.account, "ACCESS_KEY_ID": self.key_id, "ACCESS_KEY_SECRET": self.key_secret,
                "REGION": REGION, "NODE_PATH": os.path.join(CLIENTS, "node_modules")}

    def cli(self, *arguments, check=True, **options):
        result = subprocess.run([BINARY, "--data-dir", self.data, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
        if check and result.returncode != 0:
            raise RuntimeError(f"mayfly {' '.join(arguments)}: exit {result.returncode}\n{result.stdout}\n{result.stderr}")
        return result

    def cli_json(self, *arguments):
        return json.loads(self.cli("--json", *arguments).stdout)

    # Vendor clients, unmodified.
    def bucket(self, name, auth_class=None):
        import oss2
        auth = (auth_class or oss2.Auth)(self.key_id, self.key_secret)
        return oss2.Bucket(auth, self.endpoint, name, region=REGION)

    def fc(self):
        import fc2
        return fc2.Client(endpoint=self.endpoint, accessKeyID=self.key_id, accessKeySecret=self.key_secret, Timeout=120)

    def ram(self, action, **parameters):
        """One RAM call through aliyunsdkcore; the answer as a dict."""
        from aliyunsdkcore.client import AcsClient
        from aliyunsdkcore.request import CommonRequest
        request = CommonRequest(domain=self.endpoint.removeprefix("http://"), version="2015-05-01", action_name=action)
        request.set_protocol_type("http")
        for name, value in parameters.items():
            request.add_query_param(name, value)
        return json.loads(AcsClient(self.key_id, self.key_secret, REGION).do_action_with_exception(request))

    def role(self, name, policy):
        """The ARN of a new role that functions may take, with one of the vendor's own policies."""
        trust = {"Version": "1", "Statement": [{"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": ["fc.aliyuncs.com"]}}]}
        arn = self.ram("CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.ram("AttachPolicyToRole", PolicyName=policy, PolicyType="System", RoleName=name)
        return arn

    def fnf(self, action_class, **parameters):
        """One FnF call through aliyunsdkcore; the answer as a dict."""
        from aliyunsdkcore.client import AcsClient
        request = action_class()
        request.set_endpoint(self.endpoint.removeprefix("http://"))
        for name, value in parameters.items():
            getattr(request, "set_" + name)(value)
        return json.loads(AcsClient(self.key_id, self.key_secret, REGION).do_action_with_exception(request))


def zip_bytes(files):
    """A zip of {name: text}; "bootstrap" is executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if name == "bootstrap" else 0o100644) << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def zip_file(files):
    """The same as a file, for clients that read one; removed when Python ends."""
    file = tempfile.NamedTemporaryFile(suffix=".zip", delete=False)
    file.write(zip_bytes(files))
    file.close()
    atexit.register(os.unlink, file.name)
    return file.name


def main():
    """unittest.main that keeps the filters above."""
    unittest.main(module="__main__", verbosity=2, warnings="ignore")


def wait_until(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(0.05)
