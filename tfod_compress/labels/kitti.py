"""KITTI object labels (`label_2`): one text file a frame, 15 fields a line, 16 with a score.

type, truncated (0 to 1), occluded (0 to 3), alpha, left, top, right, bottom (pixels), then 3D fields that are
not used. DontCare and Misc are ignored unless a class map says otherwise (Geiger et al., CVPR 2012).
"""

from tfod_compress.labels.base import FrameLabels, LabelFolder, LabelledBox, decode_text, number

IGNORED = ("DontCare", "Misc")


def matches(text):
    """Whether a file that starts with `text` is of this format."""
    for line in text.splitlines():
        fields = line.split()
        if fields:
            return len(fields) in (15, 16) and not _numeric(fields[0]) and all(map(_numeric, fields[1:8]))
    return False


class Kitti(LabelFolder):
    """A folder of .txt files."""

    extensions = (".txt",)
    ignored = IGNORED

    def parse(self, data):
        boxes = []
        for at, line in enumerate(decode_text(data).splitlines(), 1):
            fields = line.split()
            if not fields:
                continue
            if len(fields) not in (15, 16):
                raise ValueError(f"line {at} has {len(fields)} fields, KITTI has 15 or 16")
            values = [number(text, f"line {at}: field {index}") for index, text in enumerate(fields[1:8], 2)]
            truncated, occluded, _, left, top, right, bottom = values
            boxes.append(LabelledBox(
                fields[0], left, top, right, bottom,
                truncated=truncated > 0 if truncated >= 0 else None,
                occluded=int(occluded) if occluded in (0, 1, 2, 3) else None))
        return FrameLabels(boxes)


def _numeric(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
