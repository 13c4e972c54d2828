"""The `context` a handler receives (aliyun-fc.md 5.2) and which request is running."""
import logging


class _Current:
    request_id = ""


current = _Current()


class Credentials:
    __slots__ = ("access_key_id", "access_key_secret", "security_token")

    def __init__(self, access_key_id, access_key_secret, security_token):
        self.access_key_id = access_key_id
        self.access_key_secret = access_key_secret
        self.security_token = security_token or None


class FunctionAbout:
    def __init__(self, about):
        self.name = about["name"]
        self.handler = about["handler"]
        self.memory = about["memory"]
        self.timeout = about["timeout"]


class ServiceAbout:
    def __init__(self, about):
        self.name = about["name"]
        self.log_project = about["log_project"]
        self.log_store = about["log_store"]
        self.qualifier = about["qualifier"]
        self.version_id = about["version_id"]


class Tracing:
    """No span is sent anywhere from inside; the attributes exist for code that copies them."""
    span_context = None
    jaeger_endpoint = None
    span_baggages = {}


_TRACING = Tracing()
_LOGGER = logging.getLogger()


class Context:
    def __init__(self, request_id, credentials, function, service, region, account_id, retry_count):
        self.request_id = request_id
        self.requestId = request_id
        self.credentials = credentials
        self.function = function
        self.service = service
        self.region = region
        self.account_id = account_id
        self.logger = _LOGGER
        self.tracing = _TRACING
        self.retry_count = retry_count
