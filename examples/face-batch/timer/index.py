"""Called by the timer: starts one execution of the flow that its payload names, with the input it holds."""
import json
import logging

from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkfnf.request.v20190315.StartExecutionRequest import StartExecutionRequest


def handler(event, context):
    tick = json.loads(event)
    job = json.loads(tick["payload"])
    logging.getLogger().info("at %s starting %s with %s", tick["triggerTime"], job["flowName"], json.loads(job["input"]))
    keys, endpoint = context.credentials, f"{context.region}-internal.fnf.aliyuncs.com"
    if keys.security_token is not None:
        credential = StsTokenCredential(keys.access_key_id, keys.access_key_secret, keys.security_token)
    else:
        credential, endpoint = AccessKeyCredential(keys.access_key_id, keys.access_key_secret), endpoint.replace("-internal", "")
    request = StartExecutionRequest()
    request.set_endpoint(endpoint)
    request.set_FlowName(job["flowName"])
    request.set_Input(job["input"])
    AcsClient(region_id=context.region, credential=credential).do_action_with_exception(request)
