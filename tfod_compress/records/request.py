"""What a conversion is asked for, in groups that are handed on one by one. All of it is plain data, and frozen."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

from tfod_compress.frames import MAX_PIXELS
from tfod_compress.records import task_names
from tfod_compress.support.errors import InputError

Path = str | pathlib.Path


def _shares(**shares):
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise InputError(f"--{name} {value:g}: must be from 0 to 1")


def _counts(**counts):
    for name, value in counts.items():
        if not value >= 0:
            raise InputError(f"--{name} {value:g}: must not be negative")


@dataclasses.dataclass(frozen=True)
class Source:
    """The frames and labels, and what of them will do.

    Attributes:
      frames: folder of frames, any depth.
      labels: folder or file of labels; None for the task's own place.
      label_format: see `Task.open_labels`.
      label_map: one of `label_map.shipped`, a label_map.pbtxt, or "auto" for the names that the labels have; None for
        the task's default.
      class_map: YAML file from the labels' class names to those of the label map, or None.
      names_file: file of names of classes that the labels give as numbers, or None; see `Task.open_labels`.
      max_frames: so many of the frames, spread over all of them; 0 for all.
      on_broken: "skip" lists broken frames, "fail" stops at one.
      max_broken: share of the frames that may be broken.
      unlabelled: what to do with frames without labels: "fail", "skip", or "negative" (keep them without objects).
      min_box_px: boxes with a shorter side than this, in pixels, are dropped.
      max_pixels: larger frames count as broken.
    """

    frames: Path = "data/frames"
    labels: Path | None = None
    label_format: str = "auto"
    label_map: str | None = None
    class_map: Path | None = None
    names_file: str | None = None
    max_frames: int = 0
    on_broken: str = "skip"
    max_broken: float = 0.05
    unlabelled: str = "fail"
    min_box_px: float = 1.0
    max_pixels: int = MAX_PIXELS

    def __post_init__(self):
        _shares(max_broken=self.max_broken)
        _counts(min_box_px=self.min_box_px, max_frames=self.max_frames)
        if self.max_pixels < 1:
            raise InputError(f"--max_pixels {self.max_pixels}: must be positive")


@dataclasses.dataclass(frozen=True)
class Division:
    """Which frame goes to which split.

    Attributes:
      val_fraction: share of the frames, 0 to 1.
      test_fraction: likewise.
      sequence_by: regular expression on source_id whose group is a frame's sequence: what stays on one side, what a
        video codec codes, and the unit of statistics. None takes `split_by`, or for video codecs each folder of frames.
      split_by: regular expression on source_id whose group stays on one side; None takes `sequence_by`.
      split_files: folder of train.txt, val.txt and perhaps test.txt, instead of fractions; or "folders", where frames
        lie in train/, val/ and perhaps test/.
      folds: K > 1 makes the splits fold0 to foldK-1 instead of train and val.
      seed: of the assignment to splits, and of the sample that is measured.
      duplicates: "together" keeps frames with identical pixels on one side, and stops where split_by or split_files
        separate them; "ignore" does not look.
    """

    val_fraction: float = 0.2
    test_fraction: float = 0.0
    sequence_by: str | None = None
    split_by: str | None = None
    split_files: Path | None = None
    folds: int = 0
    seed: int = 0
    duplicates: str = "together"

    def __post_init__(self):
        _shares(val_fraction=self.val_fraction, test_fraction=self.test_fraction)
        if self.val_fraction + self.test_fraction > 1:
            raise InputError("--val_fraction and --test_fraction add up to more than 1")
        _counts(folds=self.folds)
        if self.folds == 1:
            raise InputError("--folds 1: cross-validation needs 2 or more")
        if self.split_files and (self.split_by or self.folds):
            raise InputError("--split_files says which frame goes where; leave out --split_by and --folds")


@dataclasses.dataclass(frozen=True)
class Coding:
    """How frames are coded.

    Attributes:
      codec: a codec's name.
      codec_model: folder of a trained model, or of several of them, of a learned codec.
      qualities: numbers; None for the codec's default.
      target_bpp: bits per pixel: instead of `qualities`, a record set for each, at the quality whose rate over all
        frames is nearest below.
      rate_per_frame: with `target_bpp`, each frame gets the quality whose rate is nearest below.
      measure: PSNR of "all" frames, a "sample", or "none".
    """

    codec: str = "jpeg"
    codec_model: Path | None = None
    qualities: Sequence[float | None] = (None,)
    target_bpp: Sequence[float] | None = None
    rate_per_frame: bool = False
    measure: str = "sample"


@dataclasses.dataclass(frozen=True)
class Output:
    """What is written where.

    Attributes:
      folder: gets the record sets.
      record_set: name of the one record set, instead of the codec's own; None for that.
      num_shards: files of a split; 0 chooses by the number of frames.
      keep_bitstreams: folder that gets the coded files, in a folder for each record set; None keeps none.
      overwrite: make anew what was made from other input or settings.
      command: what to write into the manifest as the command; None for that of this process.
    """

    folder: Path = "tfrecords"
    record_set: str | None = None
    num_shards: int = 0
    keep_bitstreams: Path | None = None
    overwrite: bool = False
    command: str | None = None

    def __post_init__(self):
        _counts(num_shards=self.num_shards)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """One run: frames and labels in, a record set out for each quality. Bad values are refused when it is made.

    Attributes:
      task: name of the task whose labels these are.
    """

    source: Source = Source()
    division: Division = Division()
    coding: Coding = Coding()
    output: Output = Output()
    task: str = task_names.DEFAULT

    @classmethod
    def of(cls, task: str = task_names.DEFAULT, **settings) -> Conversion:
        """From attributes of the four groups by their names; TypeError for a name that none has."""
        groups = {}
        for field in dataclasses.fields(cls):
            if field.name != "task":
                group = type(field.default)
                names = {each.name for each in dataclasses.fields(group)} & set(settings)
                groups[field.name] = group(**{name: settings.pop(name) for name in names})
        if settings:
            raise TypeError(f"a conversion has no {', '.join(settings)}")
        return cls(task=task, **groups)
