"""Pascal VOC XML: one file a frame, boxes in pixels as written (Everingham et al., IJCV 2010, development kit).

Coordinates are taken as they stand, as the TF OD API's own converter takes them, without subtracting
VOC's 1.
"""

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from tfod_compress.labels.base import FrameLabels, LabelFolder, LabelledBox, number


def matches(text):
    """Whether a file that starts with `text` is of this format."""
    return text.lstrip().startswith("<") and "<annotation" in text


class Voc(LabelFolder):
    """A folder of .xml files."""

    extensions = (".xml",)

    def parse(self, data):
        try:
            root = ElementTree.fromstring(data, forbid_dtd=True)
        except DefusedXmlException as error:
            raise ValueError("XML with a document type or entities is refused") from error
        except (ElementTree.ParseError, UnicodeError, LookupError, ValueError) as error:
            raise ValueError(f"not XML: {error}") from error
        if root.tag != "annotation":
            raise ValueError(f"the root is <{root.tag[:40]}>, not <annotation>")
        width, height = (_size(root, key) for key in ("width", "height"))
        return FrameLabels([_box(item) for item in root.findall("object")], width=width, height=height)


def _size(root, key):
    text = root.findtext(f"size/{key}")
    if text is None or not text.strip():
        return None
    value = number(text, f"size/{key}")
    return int(value) if 0 < value < 1 << 31 else None


def _box(item):
    name = (item.findtext("name") or "").strip()
    if not name:
        raise ValueError("an object without a name")
    frame = item.find("bndbox")
    if frame is None:
        raise ValueError(f"an object {name[:40]!r} without a bndbox")
    edges = [number(frame.findtext(key), f"{key} of {name[:40]!r}") for key in ("xmin", "ymin", "xmax", "ymax")]
    flags = {key: _flag(item.findtext(key)) for key in ("difficult", "truncated", "occluded")}
    occluded = flags["occluded"]
    return LabelledBox(name, *edges, difficult=bool(flags["difficult"]), truncated=flags["truncated"],
                       occluded=None if occluded is None else int(occluded))


def _flag(text):
    if text is None or not text.strip():
        return None
    return text.strip().lower() not in ("0", "false", "unspecified", "no")
