"""Lists one page of a bucket for the flow: the keys, whether there are more, and where the next page begins."""
import json
import logging
import os

import oss2

PAGE = 100  # keys a call: one foreach of the flow works on them side by side


def bucket_of(name, context):
    """With the role's temporary keys from the endpoint as set; with plain keys from its public twin."""
    keys, endpoint = context.credentials, os.environ["OSS_ENDPOINT"]
    if keys.security_token is not None:
        auth = oss2.StsAuth(keys.access_key_id, keys.access_key_secret, keys.security_token)
    else:
        auth, endpoint = oss2.Auth(keys.access_key_id, keys.access_key_secret), endpoint.replace("-internal", "")
    return oss2.Bucket(auth, endpoint, name)


def handler(event, context):
    wanted = json.loads(event)
    logging.getLogger().info("listing %s", wanted)
    page = bucket_of(wanted["bucket"], context).list_objects(
        prefix=wanted["prefix"], marker=wanted["marker"], delimiter=wanted["delimiter"], max_keys=PAGE)
    return {
        # A folder's own marker object is no photo.
        "keys": [item.key for item in page.object_list if not item.key.endswith("/")],
        "hasMore": page.is_truncated,
        "marker": page.next_marker if page.is_truncated else "",
    }
