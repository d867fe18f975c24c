"""Write a data set of drawn traffic signs: a folder of PNG pictures for each class, in parallel, resumable."""

import contextlib
import dataclasses
import io
import pathlib

import numpy as np
from PIL import Image

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.synthetic import writing
from tfod_compress.synthetic.damage import KINDS, damaged
from tfod_compress.synthetic.sign_faces import SIGN_NAMES
from tfod_compress.synthetic.signs import LARGEST, SMALLEST, SignPainter, SignParameters

_DRAWING = 1  # raised when the same settings give other pictures: an older folder is then not added to
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"


@dataclasses.dataclass(frozen=True)
class _Frame:
    """One file to make: its number in its track and its damage (None: whole)."""

    number: int
    damage: str | None = None


def make_sign_frames(output, *, count, width=32, height=32, broken=0, seed=0, sequence_length=5, parameters=None,
                     workers=None, progress=None):
    """Draws signs into `output`/frames/CLASS/TRACK_FRAME.png, such as frames/stop/00003_00002.png.

    A track is one sign in front of one scene, nearer in each frame; tracks are numbered within their class, from 0.
    Every frame is drawn from (seed, class, track, frame) alone: the bytes depend neither on the workers nor on an
    interruption, and a larger `count` adds to the frames of a smaller one. Called again with the same arguments it
    makes what is missing. Broken frames are numbered after the whole ones of their tracks, spread over the data set.

    Args:
      output: the folder; frames/ in it must be missing, empty, or of the same settings.
      count: number of whole frames: tracks of `sequence_length`, the last with what remains.
      width: of a frame in pixels, 16 to 512.
      height: of a frame in pixels, 16 to 512.
      broken: number of additional frames that no reader can open: truncated, empty, bad header in turn.
      seed: 0 or more.
      sequence_length: frames of a track.
      parameters: SignParameters; None for the defaults.
      workers: processes; None for one a core, as in `make_frames`.
      progress: called with (frames done, frames in all) after each track.

    Returns:
      The number of files made now; the rest was there.

    Raises:
      InputError: arguments out of range, fewer tracks than classes, or a folder that holds other frames.
    """
    parameters = parameters or SignParameters()
    writing.check_ranges(
        count=(count, 1, 10**7), width=(width, SMALLEST, LARGEST), height=(height, SMALLEST, LARGEST),
        broken=(broken, 0, 10**6), seed=(seed, 0, 2**63), sequence_length=(sequence_length, 1, 1000),
        workers=(1 if workers is None else workers, 1, 1024))
    tracks = _tracks(-(-count // sequence_length), parameters.imbalance_factor)
    if len(tracks) < len(SIGN_NAMES):
        raise InputError(f"count {count}: {len(tracks)} tracks of {sequence_length} frames show not all "
                         f"{len(SIGN_NAMES)} classes; give --count {(len(SIGN_NAMES) - 1) * sequence_length + 1} or "
                         "more, or a smaller --sequence_length")
    output = pathlib.Path(output)
    writing.claim(output, {
        "task": "classification", "count": count, "width": width, "height": height, "broken": broken, "seed": seed,
        "sequence_length": sequence_length, "drawing": _DRAWING, "signs": dataclasses.asdict(parameters)})
    jobs, todo = [], 0
    for (name, track), frames in zip(tracks, _frames(count, broken, sequence_length), strict=True):
        missing = [frame for frame in frames if not _is_whole(_path(output, name, track, frame), frame)]
        todo += len(missing)
        if missing:
            jobs.append((output, seed, name, track, missing, width, height, parameters))
    return writing.fill(_make_track, jobs, todo=todo, total=count + broken, workers=workers, progress=progress)


def draw_sign(name, track=0, number=0, *, width=32, height=32, seed=0, parameters=None):
    """One picture without a file: uint8 RGB [height, width, 3].

    Args:
      name: one of SIGN_NAMES.
      track: number of its track in the class, from 0.
      number: of the frame in the track, from 0.
      width: in pixels, 16 to 512.
      height: in pixels, 16 to 512.
      seed: 0 or more.
      parameters: SignParameters, None for the defaults.
    """
    painter = _painter(seed, name, track, width, height, parameters or SignParameters())
    return painter.frame(number, _generator(seed, name, track, number))


def _tracks(count, imbalance_factor):
    """[(class, number in the class)] of so many tracks; those of a smaller count come first.

    Each class gets a track, then each further one goes where the share is furthest from being met (Webster's
    method of highest averages), so that no class ends more than about a track away from its share.
    """
    shares = imbalance_factor ** -np.linspace(0, 1, len(SIGN_NAMES))
    made = np.zeros(len(SIGN_NAMES), int)
    found = []
    for index in range(count):
        chosen = index if index < len(SIGN_NAMES) else int(np.argmax(shares / (2 * made + 1)))
        found.append((SIGN_NAMES[chosen], int(made[chosen])))
        made[chosen] += 1
    return found


def _frames(count, broken, length):
    """[[_Frame]] of each track."""
    found = [[_Frame(number) for number in range(min(length, count - first))] for first in range(0, count, length)]
    stride = max(len(found) // max(broken, 1), 1)
    for index in range(broken):
        frames = found[index * stride % len(found)]
        frames.append(_Frame(len(frames), KINDS[index % len(KINDS)]))
    return found


def _path(output, name, track, frame):
    return output / "frames" / name / f"{track:05d}_{frame.number:05d}.png"


def _is_whole(path, frame):
    """Whether a frame is there. Files take their name when they are whole; both ends of a PNG are a second look."""
    with contextlib.suppress(OSError):
        if frame.damage is not None:
            return path.is_file()
        content = path.read_bytes()
        return content.startswith(_PNG_START) and content.endswith(_PNG_END)
    return False


def _make_track(output, seed, name, track, frames, width, height, parameters):
    """Draws and writes the given frames of one track; returns their number."""
    painter = _painter(seed, name, track, width, height, parameters)
    for frame in frames:
        rng = _generator(seed, name, track, frame.number)
        content = io.BytesIO()
        Image.fromarray(painter.frame(frame.number, rng)).save(content, "PNG", optimize=True)
        content = content.getvalue()
        if frame.damage is not None:
            content = damaged(content, frame.damage, rng)
        with atomic_file(_path(output, name, track, frame)) as file:
            file.write(content)
    return len(frames)


def _painter(seed, name, track, width, height, parameters):
    rng = np.random.default_rng([seed, SIGN_NAMES.index(name), track, 0])
    return SignPainter(name, width, height, parameters, rng)


def _generator(seed, name, track, number):
    # Frames count from 1 here: 0 is the track's own.
    return np.random.default_rng([seed, SIGN_NAMES.index(name), track, number + 1])
