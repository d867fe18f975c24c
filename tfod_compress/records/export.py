"""The decoded frames of a record set as PNG files, with an images.json in COCO's form: for programs that are not ours.

    FRAMES/images.json     {"images": [{"id": 1, "file_name": "seq000/000001.png", "width", "height", "source_id"}, …],
                            "categories": [{"id": 1, "name": "car"}, …], "annotations": […], "info": {…}}
    FRAMES/seq000/000001.png

The pixels are those that our detectors see: 8-bit RGB.
"""

import collections
import concurrent.futures
import io
import os
import pathlib
import shutil
import struct

from PIL import Image

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_folder, read_json, sha256, write_json
from tfod_compress.support.progress import Bar

IMAGES = "images.json"
PNG_LEVEL = 1  # the files are read once or a few times; level 6 is a few per cent smaller and takes twice as long
_RGB8 = struct.pack(">BB", 8, 2)  # bit depth and colour type in a PNG's header


def export(record_set, splits, folder, *, label_map=None, annotations=True, replace=False):
    """Writes frames and images.json, all or nothing; what is there already of the same is not written again.

    Args:
      record_set: RecordSet.
      splits: names of splits, each of which it has.
      folder: a new one, or one that this has written.
      label_map: {class id: name} for the categories; None for the record set's.
      annotations: whether images.json also holds the labels: a whole COCO ground truth.
      replace: whether another folder of that name goes.

    Returns:
      (the content of images.json, whether it was there before).

    Raises:
      InputError: `folder` holds something else; a frame is damaged, or has a name that is no path below the folder.
    """
    folder = pathlib.Path(folder)
    info = {"description": f"decoded frames of {record_set.name}, {', '.join(splits)}",
            "manifest_sha256": sha256(record_set.path / "manifest.json"), "splits": list(splits),
            "annotations": annotations}
    categories = [{"id": number, "name": name} for number, name in (label_map or record_set.label_map).items()]
    there = _whole(folder, info, categories)
    if there:
        return there, True
    if replace:
        shutil.rmtree(folder, ignore_errors=True)
    images, labels = [], []
    with atomic_folder(folder) as growing:
        total = sum(record_set.manifest["frames"][split] for split in splits)
        with Bar(f"frames of {record_set.name}", total) as bar:
            for example in _written(record_set, splits, growing):
                number = len(images) + 1
                images.append({"id": number, "file_name": _file_name(record_set, example.source_id),
                               "width": example.width, "height": example.height, "source_id": example.source_id})
                if annotations:
                    labels += [{"id": at, "image_id": number, **one} for at, one in enumerate(
                        record_set.task.annotations(example, record_set.has_areas), len(labels) + 1)]
                bar.advance()
        twice = [name for name, count in collections.Counter(image["file_name"] for image in images).items()
                 if count > 1]
        if twice:
            raise InputError(f"{record_set.path}: frame {twice[0].removesuffix('.png')} comes twice; make the record "
                             "set again")
        content = {"info": info, "images": images, "categories": categories,
                   **({"annotations": labels} if annotations else {})}
        write_json(growing / IMAGES, content)
    return content, False


def _written(record_set, splits, folder):
    """Yields each Example once its picture is on its way to the disk; pictures are coded side by side."""
    workers = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        try:
            for split in splits:
                for example in record_set.examples(split):
                    path = folder / _file_name(record_set, example.source_id)
                    waiting.append(pool.submit(_write, record_set, example, path))
                    if len(waiting) > 2 * workers:
                        waiting.popleft().result()
                    yield example
            while waiting:
                waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _write(record_set, example, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = example.encoded
    if example.format != "png" or data[24:26] != _RGB8:
        try:
            picture = Image.fromarray(example.pixels())
        except ValueError as error:
            raise InputError(f"{record_set.path}: {example.source_id}: {error}; make the record set again") from error
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=PNG_LEVEL)
        data = buffer.getvalue()
    path.write_bytes(data)


def _file_name(record_set, source_id):
    """The path of a frame's PNG below the folder; InputError for a name that would leave it."""
    parts = source_id.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in source_id:
        raise InputError(f"{record_set.path}: the frame {source_id!r} has a name that is no path below a folder; make "
                         "the record set again")
    return f"{source_id}.png"


def _whole(folder, info, categories):
    """The content of images.json where the folder holds just these frames, else None."""
    try:
        content = read_json(folder / IMAGES)
        same = content["info"] == info and content["categories"] == categories
        return content if same and all((folder / image["file_name"]).is_file() for image in content["images"]) else None
    except (KeyError, TypeError):
        return None
