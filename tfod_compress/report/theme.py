"""Colours of page and figures, and the way of a matplotlib figure into the page.

A figure is drawn once with stand-in colours. Its file for a paper gets the light ones; in the page each
becomes a CSS variable, so that one drawing is right in light and dark.
"""

import contextlib
import dataclasses
import io
import re
import xml.etree.ElementTree as ET

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG

COLOURS = {
    # name: (light, dark, stand-in while drawing). Okabe and Ito's colour-blind-safe set, lighter on dark ground.
    "ink": ("#1b1f24", "#e8eaed", "#010101"),
    "muted": ("#5f6975", "#a3adb8", "#020202"),
    "grid": ("#dfe3e8", "#363d45", "#030303"),
    "paper": ("#ffffff", "#16191d", "#040404"),
    "series-0": ("#0072b2", "#56b4e9", "#050505"),
    "series-1": ("#d55e00", "#ff9a4d", "#060606"),
    "series-2": ("#00805e", "#35c9a0", "#070707"),
    "series-3": ("#aa4499", "#e29bd0", "#080808"),
    "series-4": ("#8a6d00", "#f0e442", "#090909"),
    "series-5": ("#5f6975", "#c3cad2", "#0a0a0a"),
}

_REGIME_SLOTS = {"off_the_shelf": 0, "task_ft": 1, "retrained": 3, "control_ft": 2, "codec_ft": 4, "joint_ft": 5}
_MARKERS = ("o", "s", "^", "D", "v", "P")
_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"


def stand_in(name):
    """The colour to draw with for a name of COLOURS."""
    return COLOURS[name][2]


def regime_style(regime, order):
    """(colour name, marker) of a regime; `order` is its place among those drawn, for regimes without their own.

    So a published detector has the reference's colour where it is drawn first, which is where nothing was trained.
    """
    slot = _REGIME_SLOTS.get(regime, 3 + order % 3 if order else 0)
    return f"series-{slot}", _MARKERS[slot]


def series_style(index):
    """(colour name, marker, how often all of them were used before) of one of several series of a single regime."""
    turn, slot = divmod(index, 5)  # the sixth is the colour of what is published
    return f"series-{slot}", _MARKERS[slot], turn


def css_variables(dark):
    """The colours as CSS declarations."""
    return " ".join(f"--{name}: {values[bool(dark)]};" for name, values in COLOURS.items())


@contextlib.contextmanager
def drawing():
    """matplotlib settings of all figures: text stays text, ids depend on the content alone, no mathematics in names."""
    ink, muted, grid = stand_in("ink"), stand_in("muted"), stand_in("grid")
    settings = {
        "svg.fonttype": "none", "svg.hashsalt": "tfod_compress", "text.parse_math": False,
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"], "font.size": 10,
        "text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": muted, "axes.titlesize": 11,
        "figure.facecolor": stand_in("paper"), "axes.facecolor": "none",
        "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
        "xtick.color": muted, "ytick.color": muted, "xtick.labelcolor": ink, "ytick.labelcolor": ink,
        "axes.grid": True, "axes.axisbelow": True, "grid.color": grid, "grid.linewidth": 0.8,
        "legend.frameon": False, "lines.linewidth": 1.8, "lines.markersize": 6,
    }
    with matplotlib.rc_context(settings):
        yield


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A finished figure.

    Attributes:
      name: file name without ending, and prefix of its ids in the page.
      summary: what it shows, for people who cannot see it.
      svg: the drawing with stand-in colours.
      part: which part of a figure that is too large for one drawing, such as "classes 21 to 40 of 80".
    """

    name: str
    summary: str
    svg: str
    part: str = ""

    def file_text(self):
        """A whole SVG file in the light colours."""
        return _coloured(self.svg, lambda name: COLOURS[name][0])

    def inline_text(self):
        """An <svg> element for an HTML page: colours as CSS variables, ids prefixed, nothing that names a network."""
        root = ET.fromstring(_coloured(self.svg, lambda name: f"var(--{name})"))
        for parent in list(root.iter()):
            for child in list(parent):
                if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                    parent.remove(child)
        for element in root.iter():
            element.tag = element.tag.removeprefix(_SVG)
            attributes = {self._prefixed(k.removeprefix(_XLINK), v) for k, v in element.attrib.items()}
            element.attrib.clear()
            element.attrib.update(sorted(attributes))
        for name in ("width", "height", "version"):
            root.attrib.pop(name, None)
        # matplotlib says this in a <style> for everything, which would leak into the page.
        root.attrib.update({"role": "img", "aria-label": self.summary, "class": "figure",
                            "style": "stroke-linejoin: round; stroke-linecap: butt"})
        return ET.tostring(root, encoding="unicode")

    def _prefixed(self, name, value):
        if name == "id":
            value = f"{self.name}-{value}"
        elif name == "href":
            value = value.replace("#", f"#{self.name}-", 1)
        else:
            value = value.replace("url(#", f"url(#{self.name}-")
        return name, value


def finish(figure, name, summary, part=""):
    """Turns a matplotlib Figure into a Drawing; the same figure gives the same text."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(
        buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Drawing(name, summary, buffer.getvalue(), part)


def _coloured(svg, colour_of):
    names = {values[2]: name for name, values in COLOURS.items()}
    return re.sub(r"#0[0-9a]0[0-9a]0[0-9a]\b", lambda m: colour_of(names[m[0]]) if m[0] in names else m[0], svg)
