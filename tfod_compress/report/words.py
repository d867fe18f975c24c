"""How the report names and prints things, in one place, so that page, pictures and terminal agree."""

import math

REGIMES = {
    "off_the_shelf": ("off the shelf", "trained on the best quality, tested on the compressed frames"),
    "published": ("as published", "a {model} from outside, not trained here, tested on the compressed frames"),
    "retrained": ("retrained from the start", "trained on the compressed frames from the same starting weights"),
    "task_ft": ("retrained", "the best-quality {model}, trained further on the compressed frames"),
    "control_ft": ("control", "the best-quality {model}, trained equally much further on best-quality frames"),
    "codec_ft": ("codec fine-tuned", "learned codec trained further through the frozen {model}"),
    "joint_ft": ("jointly fine-tuned", "learned codec and {model} trained further together"),
    "fixed_decoder": ("encoder only", "only the encoder side trained further"),
    "task_decoder": ("decoder and detector", "only decoder and {model} trained further"),
}
"""{regime: (short name, what it means for a task's model)}, in the order of all tables."""

REFERENCE_REGIMES = ("off_the_shelf", "published")
"""The regimes whose result at the best quality the others are compared with: the first that a series has."""

RETRAINED_REGIMES = ("task_ft", "retrained")
"""The regimes that try to win the loss back, the first that is there is the one the answer speaks of."""

_CODECS = {"jpeg": "JPEG", "jpeg-gray": "JPEG grey", "jpeg444": "JPEG 4:4:4", "jpeg2000": "JPEG 2000", "png": "PNG",
           "webp": "WebP", "avif": "AVIF", "avif444": "AVIF 4:4:4",
           "jxl": "JPEG XL", "hevc": "HEVC", "hevc444": "HEVC 4:4:4", "vvc": "VVC", "h264": "H.264"}


def regime_name(regime):
    """Short name of a regime; an unknown one keeps its own."""
    return REGIMES.get(regime, (regime,))[0]


def reference_regime(regimes):
    """The one of REFERENCE_REGIMES that others are compared with where these regimes occur."""
    return next((regime for regime in REFERENCE_REGIMES if regime in regimes), REFERENCE_REGIMES[0])


def codec_name(codec):
    """How people write the codec; that frames were scaled is said by the quality."""
    plain = codec.removesuffix("-scaled")
    return _CODECS.get(plain, plain)


def setting_name(codec, quality):
    """Codec and quality in words, e.g. "JPEG 5"."""
    return codec_name(codec) if quality is None else f"{codec_name(codec)} {quality}"


def score(value, metric=None):
    """A value of a Metric, or a difference of two, without its unit; "–" for None.

    A share between 0 and 1, as which it is taken without a metric, has three decimals; others three digits.
    """
    if value is None:
        return "–"
    decimals = 3 if metric is None or metric.share else _decimals(value)
    text = f"{value:.{decimals}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def _decimals(value):
    """How many show three digits."""
    return 2 if value == 0 or not math.isfinite(value) else min(9, max(0, 2 - math.floor(math.log10(abs(value)))))


def amount(value, metric):
    """A value of a Metric with its unit."""
    return f"{score(value, metric)} {metric.unit}".strip()


def signed(value, metric=None):
    """A difference with its sign."""
    text = score(value, metric)
    return text if text[0] in "−–" or float(text) == 0 else f"+{text}"


def interval(low, high, metric=None):
    """"[0.601, 0.675]", or "" where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{score(low, metric)}, {score(high, metric)}]"


def title(metric):
    """A Metric's title, with its unit where it has one."""
    return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def axis(metric):
    """What stands at an axis: the title, its condition and its unit."""
    return " ".join(filter(None, (metric.title, metric.at and f"at {metric.at}", metric.unit and f"({metric.unit})")))


def short(metric):
    """The last word of a Metric's title, for the names of Bjøntegaard's deltas: "mAP"."""
    return metric.title.split()[-1]


def meaning(metric):
    """What a Metric's numbers are, for the page's list of words."""
    told = "0 to 1" if metric.share else f"in {metric.unit}"
    told += f", {'higher' if metric.higher_is_better else 'lower'} is better"
    return f"{told}: {metric.meaning}" if metric.meaning else told


def percent(fraction):
    """A share: whole percent, one decimal below ten."""
    if fraction is None:
        return "–"
    value = 100 * fraction
    text = f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
    return f"{text.replace('-', '−')}\u00a0%"


def rate(bpp):
    """Bits per pixel, three significant digits."""
    return f"{float(f'{bpp:.3g}'):.3f}" if bpp < 1 else f"{bpp:.2f}"


def size(count):
    """Bytes with a decimal unit, three digits."""
    units = ("B", "kB", "MB", "GB", "TB")
    value, power = float(count), 0
    while value >= 999.5 and power < len(units) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.0f}\u00a0{units[power]}" if power == 0 or value >= 99.95 else f"{value:.3g}\u00a0{units[power]}"


def capital(text):
    """The text with a capital letter first."""
    return text[:1].upper() + text[1:]


def duration(seconds):
    """"48 s", "12 min", "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
