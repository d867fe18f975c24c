"""From a name of the zoos to a folder with a checkpoint that was found good. TensorFlow only for archives of TF1."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from tfod_compress.labels import label_map as label_maps
from tfod_compress.support import download, files
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.tasks.detection.zoo import archive as archives
from tfod_compress.tasks.detection.zoo import catalogue, verification

RECORD = "conversion.json"
LABEL_MAP = "label_map.pbtxt"
PREFIX = "ckpt-0"


def fetch(name, output, *, archive=None, downloads=None, address=catalogue.ADDRESS, verify=True, verify_on=None):
    """Gets a published detector, converts it where it is one of TF1, and compares the result with its own graph.

    Args:
      name: of the archive; see `catalogue.find`.
      output: the folder that gets ckpt-0.*, checkpoint, pipeline.config, conversion.json and, where the archive's
        classes are as many as its name says, label_map.pbtxt.
      archive: the .tar.gz on disk, or None to download it.
      downloads: the folder for unfinished downloads and remembered hashes; None for the user's cache.
      address: where the zoos are.
      verify: compare what the checkpoint gives with what the archive's own graph gives (`verification.run`).
      verify_on: a folder of pictures for that, besides those that are drawn.

    Returns:
      What was written to conversion.json.

    Raises:
      InputError: the name is unknown, the archive cannot be had or is not safe, the download differs from an earlier
        one, some variable of the model or of a TF1 archive has no counterpart, the comparison fails, or `output`
        holds something else. Nothing is written then.
    """
    known = catalogue.find(name)
    output = pathlib.Path(output)
    _check_output(output, known)
    if archive is None:
        url = f"{address.rstrip('/')}/{known.path}"
        path = download.fetch(url, downloads or download.default_folder(),
                              "get the archive in another way and give it with --archive")
    else:
        url, path = None, pathlib.Path(archive)
        if not path.is_file():
            raise InputError(f"{path}: no such archive")
    with tempfile.TemporaryDirectory(prefix="tfod_compress-") as folder, _staging(output) as staging:
        contents = _extract(path, folder, known.generation, downloaded=url is not None)
        about = {"archive": {"file": path.name, "url": url, "sha256": contents.sha256, "bytes": contents.size}}
        record = _stage(contents, known, staging, about)
        if verify or known.generation == 2:
            seen = verification.run(staging, frozen_graph=contents.frozen_graph, saved_model=contents.saved_model,
                                    pictures_in=verify_on, verify=verify)
        else:
            seen = {"verification": verification.SKIPPED}
        record = {**seen, **record, "verification": seen["verification"]}
        _publish(staging, output, record)
    if url:
        download.remember(path, contents.sha256)
        path.unlink()  # what is needed of it lies in `output` now
    return record


def fetched(name, folder="checkpoints"):
    """The folder of a published detector, which is fetched where it is not there.

    Args:
      name: of the archive; see `catalogue.find`.
      folder: what it lies in, under its name.

    Returns:
      The Path.

    Raises:
      InputError: see `fetch`.
    """
    output = pathlib.Path(folder) / name.removesuffix(".tar.gz")
    _check_output(output, catalogue.find(name))  # an unknown name is told here
    if not (output / f"{PREFIX}.index").is_file():
        fetch(name, output)
    return output


def _extract(path, folder, generation, downloaded):
    """A download must be the one that was seen before, and does not stay where it is no archive."""
    if not downloaded:
        return archives.extract(path, folder, generation)
    try:
        return archives.extract(path, folder, generation, check=lambda sha256: download.check(path, sha256))
    except InputError:
        path.unlink(missing_ok=True)
        raise


def _stage(contents, known, staging, about):
    if known.generation == 2:
        from tfod_compress.tasks.detection.zoo import tf2_archive

        record = tf2_archive.stage(contents, known, staging, about)
    else:
        from tfod_compress.tasks.detection.zoo import conversion

        record = conversion.convert(contents, known, staging, about)
    if max(known.label_map) == record["num_classes"]:
        (staging / LABEL_MAP).write_text(label_maps.text(known.label_map), encoding="utf-8")
    return record


def _check_output(output, known):
    """Refuses to write into a folder with another model's files; a conversion of the same name is replaced."""
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"--output {output}: is a file; name a folder")
    there = sorted(path.name for path in output.glob("ckpt-*.index"))
    if not there:
        return
    name = (files.read_json(output / RECORD) or {}).get("name")
    if name != known.name:
        raise InputError(f"--output {output}: holds another model ({there[0]}, {name or f'no {RECORD}'}); name an "
                         "empty folder")


@contextlib.contextmanager
def _staging(output):
    """A folder inside `output`, which goes again where it was made for this and nothing came into it."""
    new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=".converting-", dir=output))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):
                output.rmdir()


def _publish(staging, output, record):
    """Moves the files to their places; until the index is there, nothing takes the folder for a checkpoint."""
    write_json(staging / RECORD, record)
    last = (f"{PREFIX}.index", "checkpoint")
    for name in (*last, RECORD, LABEL_MAP, "pipeline.config"):
        (output / name).unlink(missing_ok=True)
    for path in sorted(staging.iterdir(), key=lambda path: path.name in last):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        path.chmod(0o666 & ~files.umask())
        os.replace(path, output / path.name)
