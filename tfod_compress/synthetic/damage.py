"""Three ways in which recorded frames arrive broken."""

import numpy as np

KINDS = ("truncated", "empty", "bad header")


def damaged(content, kind, rng):
    """The bytes of a picture file, broken so that no reader can open it.

    Args:
      content: a whole BMP file.
      kind: one of KINDS: cut off after a part of its pixels, zero bytes long, or random bytes for a header.
      rng: the generator that draws where to cut, or the random bytes.

    Raises:
      ValueError: for another kind.
    """
    if kind == "truncated":
        return content[: int(len(content) * rng.uniform(0.2, 0.8))]
    if kind == "empty":
        return b""
    if kind == "bad header":
        # No picture format begins with two bytes from this range: PNG begins with 137, JPEG with 255.
        return bytes(rng.integers(160, 250, 54, np.uint8)) + content[54:]
    raise ValueError(f"unknown damage {kind!r}; there are {', '.join(KINDS)}")
