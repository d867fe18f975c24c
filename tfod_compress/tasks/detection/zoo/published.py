"""What the zoos' pages print of an archive's accuracy, and of which frames."""

import dataclasses
from collections.abc import Iterable

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection.zoo import catalogue

VAL2017 = "COCO val2017"
VAL2017_FRAMES = 5000
_VAL2017_ENDS = ("000000000139", "000000581781")  # the first and the last picture; no other set of COCO has either


@dataclasses.dataclass(frozen=True)
class Published:
    """The printed accuracy of an archive.

    Attributes:
      coco_ap: AP at IoU 0.5 to 0.95, in [0, 1].
      decimals: how many of it the page has.
      frames: what it was measured on.
      trained_on_val2017: whether a part of val2017 was trained on.
    """

    coco_ap: float
    decimals: int
    frames: str
    trained_on_val2017: bool


def find(checkpoint: str) -> Published | None:
    """What is printed of an archive.

    The TF1 zoo has whole percents, of its own minival of COCO 2014 (its page's first footnote); its detectors were
    trained on the rest of val2014, which val2017 is a part of (Huang et al., Speed/accuracy trade-offs for modern
    convolutional object detectors, CVPR 2017: all but 8,000 of the validation images).

    Args:
      checkpoint: as tools.fetch_checkpoint takes it.

    Returns:
      Published, or None of an archive of other data and of what is in no zoo.
    """
    try:
        archive = catalogue.find(checkpoint)
    except InputError:
        return None
    if archive.published_map is None:
        return None
    of_tf1 = isinstance(archive, catalogue.Archive)
    return Published(archive.published_map / 100, 2 if of_tf1 else 3,
                     "the TF1 zoo's own minival of COCO 2014" if of_tf1 else VAL2017, of_tf1)


def is_val2017(source_ids: Iterable[str]) -> bool:
    """Whether frames of these ids, paths without their ending, are those of COCO val2017: all of them and no other."""
    names = sorted({name.rsplit("/", 1)[-1] for name in source_ids})
    return (len(names) == VAL2017_FRAMES and (names[0], names[-1]) == _VAL2017_ENDS
            and all(len(name) == 12 and name.isdecimal() for name in names))
