"""What a Python function with OpenCV costs to start."""
import cv2
import numpy


def hello(event, context):
    return f"{cv2.__version__} {numpy.__version__}"
