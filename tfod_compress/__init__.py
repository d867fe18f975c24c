"""tfod_compress: how far can labelled frames be compressed before an object detector suffers?"""

import os

__version__ = "0.1.0"

# TensorFlow reads both when it is first imported. 2.14 leaves oneDNN off on AMD processors, where it
# makes a training step about 1.5 times faster; set either variable yourself to have it your way.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
