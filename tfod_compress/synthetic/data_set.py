"""Write a data set of synthetic frames: BMP pictures and Pascal VOC labels, in sequences, in parallel, resumable."""

import contextlib
import dataclasses
import pathlib
from xml.etree import ElementTree

import cv2
import numpy as np

from tfod_compress.support.files import atomic_file
from tfod_compress.synthetic import writing
from tfod_compress.synthetic.damage import KINDS, damaged
from tfod_compress.synthetic.parameters import SceneParameters
from tfod_compress.synthetic.picture import Painter
from tfod_compress.synthetic.scene import sample_scene

_DRAWING = 1  # raised when the same settings give other pictures: an older folder is then not added to
_SMALLEST, _LARGEST = 64, 8192  # pixels a side


@dataclasses.dataclass(frozen=True)
class _Frame:
    """One file to make: its sequence, its number, its time in the sequence and its damage (None: whole)."""

    sequence: int
    number: int
    time: float
    damage: str | None


def make_frames(output, *, count, width, height, broken=0, seed=0, sequence_length=5, scene=None, workers=None,
                progress=None):
    """Draws frames into `output`/frames/seqNNN/NNNNNN.bmp and labels into `output`/labels/seqNNN/NNNNNN.xml.

    Every frame is drawn from (seed, sequence, frame) alone: the bytes depend neither on the workers nor on an
    interruption. Called again with the same arguments it makes what is missing. Frames are numbered through
    all sequences; the broken ones are numbered last and belong to sequences spread over the data set.

    Args:
      output: the folder; frames/ and labels/ in it must be missing, empty, or of the same settings.
      count: number of whole frames.
      width: of a frame in pixels, 64 to 8192.
      height: of a frame in pixels, 64 to 8192.
      broken: number of additional frames that no reader can open, with labels: truncated, empty, bad header in turn.
      seed: 0 or more.
      sequence_length: consecutive frames of one scene and camera.
      scene: SceneParameters; None for the defaults.
      workers: processes; None for one a core. With more than one, a script that calls this needs the usual
        `if __name__ == "__main__":`.
      progress: called with (frames done, frames in all) after each sequence.

    Returns:
      The number of files of frames made now; the rest was there.

    Raises:
      InputError: arguments out of range, or a folder that holds other frames.
    """
    scene = scene or SceneParameters()
    writing.check_ranges(
        count=(count, 1, 10**7), width=(width, _SMALLEST, _LARGEST), height=(height, _SMALLEST, _LARGEST),
        broken=(broken, 0, 10**6), seed=(seed, 0, 2**63), sequence_length=(sequence_length, 1, 1000),
        workers=(1 if workers is None else workers, 1, 1024))
    output = pathlib.Path(output)
    settings = {"count": count, "width": width, "height": height, "broken": broken, "seed": seed,
                "sequence_length": sequence_length, "drawing": _DRAWING, "scene": dataclasses.asdict(scene)}
    writing.claim(output, settings)
    sequences = {}
    for frame in _frames(count, broken, sequence_length):
        if not _is_whole(output, frame, width, height):
            sequences.setdefault(frame.sequence, []).append(frame)
    jobs = [(output, seed, sequence, frames, width, height, scene) for sequence, frames in sequences.items()]
    todo = sum(len(frames) for frames in sequences.values())
    return writing.fill(_make_sequence, jobs, todo=todo, total=count + broken, workers=workers, progress=progress)


def draw_frame(width, height, *, seed=0, sequence=0, time=0.0, scene=None):
    """One picture without a file: (uint8 RGB [height, width, 3], list of picture.LabelledObject).

    `time` is in frames after the middle of the sequence; `scene`: SceneParameters, None for the defaults.
    """
    painter = _painter(seed, sequence, width, height, scene or SceneParameters())
    return painter.frame(time, np.random.default_rng([seed, sequence, 0]))


def voc_annotation(folder, name, width, height, objects):
    """The Pascal VOC annotation (bytes, UTF-8) of a frame with LabelledObjects; boxes in pixels from 0, as edges."""
    root = ElementTree.Element("annotation")
    size = {"width": width, "height": height, "depth": 3}
    for tag, value in (("folder", folder), ("filename", name), ("size", size), ("segmented", 0)):
        _append(root, tag, value)
    for thing in objects:
        _append(root, "object", {
            "name": thing.name, "pose": "Unspecified", "truncated": int(thing.truncated),
            "difficult": int(thing.difficult), "occluded": int(thing.occluded),
            "bndbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), thing.box, strict=True))})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _append(parent, tag, value):
    element = ElementTree.SubElement(parent, tag)
    if isinstance(value, dict):
        for inner, content in value.items():
            _append(element, inner, content)
    else:
        element.text = str(value)


def _frames(count, broken, length):
    """All frames of a data set, in order."""
    sequences = -(-count // length)
    for number in range(count):
        yield _Frame(number // length, number, number % length - (length - 1) / 2, None)
    stride = max(sequences // max(broken, 1), 1)
    for index in range(broken):
        lap, sequence = divmod(index * stride, sequences)
        yield _Frame(sequence, count + index, (length + 1) / 2 + lap, KINDS[index % len(KINDS)])


def _paths(output, frame):
    name = f"seq{frame.sequence:03d}/{frame.number:06d}"
    return output / "frames" / f"{name}.bmp", output / "labels" / f"{name}.xml"


def _is_whole(output, frame, width, height):
    """Whether a frame and its label are there. Files take their name when they are whole; the size is a second look."""
    picture, label = _paths(output, frame)
    with contextlib.suppress(OSError):
        size = picture.stat().st_size
        return label.stat().st_size > 0 and (frame.damage is not None or size == 54 + (width * 3 + 3) // 4 * 4 * height)
    return False


def _make_sequence(output, seed, sequence, frames, width, height, scene):
    """Draws and writes the given frames of one sequence; returns their number."""
    painter = _painter(seed, sequence, width, height, scene)
    for frame in frames:
        rng = np.random.default_rng([seed, sequence, frame.number])
        rgb, objects = painter.frame(frame.time, rng)
        content = _bmp(rgb)
        if frame.damage is not None:
            content = damaged(content, frame.damage, rng)
        picture, label = _paths(output, frame)
        with atomic_file(label) as file:  # first, so that a frame that is there has its label
            file.write(voc_annotation(picture.parent.name, picture.name, width, height, objects))
        with atomic_file(picture) as file:
            file.write(content)
    return len(frames)


def _painter(seed, sequence, width, height, parameters):
    rng = np.random.default_rng([seed, sequence])
    return Painter(sample_scene(rng, width, height, parameters), parameters, rng)


def _bmp(rgb):
    """A 24-bit BMP file."""
    done, content = cv2.imencode(".bmp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError("OpenCV could not encode a BMP")
    return content.tobytes()
