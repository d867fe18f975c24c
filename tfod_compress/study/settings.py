"""A record set of a study: one codec at one quality, rate or scale."""

import dataclasses
import fnmatch

from tfod_compress.codecs import rate_matching

STRONGEST = "strongest"  # in the place of a record set's name: the last one of each codec


@dataclasses.dataclass(frozen=True)
class Setting:
    """One record set of a study.

    Attributes:
      codec: what it is listed under: the codec, "jpeg-scaled" where frames are coded smaller and scaled back, or the
        name of a codec that the study trains.
      coder: the codec's name for --codec.
      record_set: the record set's name.
      number: the quality; None for a lossless codec and where a rate is matched.
      target_bpp: bits per pixel that the quality is found for, or None.
      per_frame: whether each frame gets its own quality for that rate.
      scale: what the sides are multiplied by before coding.
    """

    codec: str
    coder: str
    record_set: str
    number: float | None = None
    target_bpp: float | None = None
    per_frame: bool = False
    scale: float = 1.0

    @classmethod
    def at_quality(cls, entry, coder, quality):
        """The Setting of a schema.Records at one of its qualities."""
        number = coder.check_quality(quality)
        return cls(_listed(entry), entry.coder, coder.record_set_name(number), number, scale=entry.scale)

    @classmethod
    def at_rate(cls, entry, coder, rate):
        """The Setting of a schema.Records at one of its rates."""
        target = rate_matching.RateTarget(float(rate), entry.rate_per_frame)
        return cls(_listed(entry), entry.coder, rate_matching.record_set_name(coder, target), None, float(rate),
                   entry.rate_per_frame, entry.scale)

    @classmethod
    def of_model(cls, entry, lmbda):
        """The Setting of a schema.Records whose model the study trains, at one of its lambdas."""
        return cls(entry.model, entry.coder, f"{entry.model}-lmbda{lmbda:g}", lmbda)

    @property
    def quality(self):
        """For tables: the number where it says all, else a text such as "0.5 bpp" or "90 at scale 0.5"; or None."""
        if self.target_bpp is None and self.scale == 1:
            return self.number
        parts = [] if self.number is None else [f"{self.number:g}"]
        parts += [] if self.target_bpp is None else [f"{self.target_bpp:g} bpp"]
        parts += [] if self.scale == 1 else [f"at scale {self.scale:g}"]
        return " ".join(parts)

    @property
    def label(self):
        """How an error names it."""
        return self.record_set if self.quality is None else str(self.quality)


def matches(setting, patterns, settings=()):
    """Whether a Setting's record set is called by one of the patterns; `settings` are all of the study's, in order."""
    last = {other.codec: other for other in settings}
    return any(pattern == STRONGEST and last.get(setting.codec) == setting
               or fnmatch.fnmatchcase(setting.record_set, pattern) for pattern in patterns)


def _listed(entry):
    return entry.codec if entry.scale == 1 else f"{entry.codec}-scaled"
