"""Finds the faces in one photo, stores a copy with a green box around each under face-detection/, and moves the original to processed/.

The number of faces is returned, and kept with the copy as its x-oss-meta-faces. A photo that cannot be read raises, so that whoever
called can decide: the flow leaves it where it is.
"""
import json
import logging
import os

import cv2
import numpy
import oss2

CASCADE = "haarcascade_frontalface_alt2.xml"  # of OpenCV's cascades the one that takes least else for a face, and the fastest
SEARCH_SIDE = int(os.environ.get("SEARCH_SIDE", "800"))  # pixels: the longer side of the picture that is searched
MIN_FACE = 30       # pixels there: smaller is mostly noise
NEIGHBOURS = 5      # overlapping finds that make a face: with 3 half the boxes on group photos are no faces
GREEN = (0, 255, 0)

faces_in = None  # the classifier: 8 ms to load, so once per instance


def find_cascade():
    """The package's own file if it ships one, else the one that came with OpenCV."""
    places = ["/code", getattr(getattr(cv2, "data", None), "haarcascades", ""), "/usr/share/opencv4/haarcascades"]
    for path in (os.path.join(place, CASCADE) for place in places if place):
        if os.path.exists(path):
            return path
    raise FileNotFoundError(f"{CASCADE} is in none of {places}")


def initialize(context):
    global faces_in
    cv2.setNumThreads(1)  # an instance has one core: more threads would only wait for each other
    faces_in = cv2.CascadeClassifier(find_cascade())


def bucket_of(name, context):
    """With the role's temporary keys from the endpoint as set; with plain keys from its public twin."""
    keys, endpoint = context.credentials, os.environ["OSS_ENDPOINT"]
    if keys.security_token is not None:
        auth = oss2.StsAuth(keys.access_key_id, keys.access_key_secret, keys.security_token)
    else:
        auth, endpoint = oss2.Auth(keys.access_key_id, keys.access_key_secret), endpoint.replace("-internal", "")
    return oss2.Bucket(auth, endpoint, name)


def find_faces(image):
    """Boxes (x, y, width, height) in the picture's own pixels; searched in a smaller copy, which is what takes the time."""
    height, width = image.shape[:2]
    scale = min(1.0, SEARCH_SIDE / max(height, width))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if scale < 1.0:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = faces_in.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=NEIGHBOURS, minSize=(MIN_FACE, MIN_FACE))
    return [tuple(round(side / scale) for side in box) for box in found]


def draw(image, boxes):
    thickness = max(2, max(image.shape[:2]) // 400)  # visible on a photo of any size
    for x, y, width, height in boxes:
        cv2.rectangle(image, (x, y), (x + width, y + height), GREEN, thickness)


def handler(event, context):
    wanted = json.loads(event)
    key = wanted["key"]
    logging.getLogger().info("looking at %s", wanted)
    if faces_in is None:
        initialize(context)
    bucket = bucket_of(wanted["bucket"], context)
    original = bucket.get_object(key).read()
    image = cv2.imdecode(numpy.frombuffer(original, numpy.uint8), cv2.IMREAD_COLOR) if original else None
    if image is None:
        raise ValueError(f"{key} is no picture that OpenCV can read")
    boxes = find_faces(image)
    draw(image, boxes)
    extension = os.path.splitext(key)[1].lower()
    marked = cv2.imencode(extension if cv2.haveImageWriter("x" + extension) else ".jpg", image)[1].tobytes()
    bucket.put_object("face-detection/" + key, marked, headers={"x-oss-meta-faces": str(len(boxes))})
    bucket.put_object("processed/" + key, original)
    bucket.delete_object(key)
    return {"key": key, "faces": len(boxes), "boxes": boxes}
