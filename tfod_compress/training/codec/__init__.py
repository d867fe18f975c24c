"""Training of learned codecs: frames, the loop, one model for each lambda."""
