"""tfod_compress: how far can labelled frames be compressed before an object detector suffers?"""

import os

__version__ = "0.2.0"
# The first version that computed the numbers that this one computes. Plans of record sets and stamps of studies carry
# it, so that what was finished since then is taken over and not made again.
RESULTS_VERSION = "0.1.0"

# TensorFlow reads both when it is first imported. 2.14 leaves oneDNN off on AMD processors, where it
# makes a training step about 1.5 times faster. Set either variable yourself to have it your way.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Level 3 hides three lines about CUDA factories that 2.14 logs as errors at every import; errors still raise.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
