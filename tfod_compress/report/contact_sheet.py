"""One frame of the gallery as a picture file: all its views with boxes, for papers and README files."""

import base64
import io
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tfod_compress.report import words

COLUMNS = 4
_DPI, _INCHES = 100, 2.6  # of a view's width
_STYLES = {"found": ("#56b4e9", "-"), "missed": ("#e69f00", "--"), "right": ("#ffffff", "-"), "wrong": ("#cc79a7", ":")}


def draw(frame):
    """bytes of a JPEG file: the views of a `gallery.Frame`, as many to a row as fit.

    True boxes are blue where they were found and orange, broken, where not; detections white where they are right and
    purple, dotted, where not.
    """
    rows = math.ceil(len(frame.views) / COLUMNS)
    height = _INCHES * frame.height / frame.width + 0.42
    figure = Figure(figsize=(COLUMNS * _INCHES, rows * height), dpi=_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, view in zip(panels, frame.views, strict=False):
        with Image.open(io.BytesIO(base64.b64decode(view.data_uri.partition(",")[2]))) as image:
            panel.imshow(np.asarray(image.convert("RGB")), interpolation="nearest")
        for box in view.marks:
            colour, line = _STYLES[box.kind]
            for wide, shade, style in ((2.8, "#000000", "-"), (1.3, colour, line)):
                panel.add_patch(Rectangle((box.x, box.y), box.width, box.height, fill=False, edgecolor=shade,
                                          linewidth=wide, linestyle=style, alpha=0.5 if wide > 2 else 1))
        panel.set_title(f"{view.name}: {words.size(view.stored_bytes)}\n{words.regime_name(view.regime)}, "
                        f"{view.told}", fontsize=7.5, loc="left", pad=2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", pil_kwargs={"quality": 88})
    return buffer.getvalue()
