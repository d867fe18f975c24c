"""Takes the few files that a conversion needs out of a zoo archive, without trusting it."""

import contextlib
import dataclasses
import gzip
import pathlib
import posixpath
import re
import shutil
import tarfile
import zlib

from tfod_compress.support import files
from tfod_compress.support.errors import InputError

# The zoo's largest archives hold about 1.5 GB.
MAX_FILES = 10_000
MAX_CONFIG_BYTES = 1 << 20
MAX_BYTES = 4 << 30  # of all files taken out together
_MAX_READ = 64 << 20  # of one read: headers are read whole, and no real one is larger
# {generation of the zoo: what is taken, by its path in the archive without the one folder that all of it lies in}.
_WANTED = {
    1: re.compile(r"model\.ckpt\.(index|data-\d{5}-of-\d{5})|frozen_inference_graph\.pb|pipeline\.config"),
    2: re.compile(r"checkpoint/ckpt-0\.(index|data-\d{5}-of-\d{5})|pipeline\.config|saved_model/saved_model\.pb|"
                  r"saved_model/variables/variables\.(index|data-\d{5}-of-\d{5})"),
}


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an archive held.

    Attributes:
      checkpoint: prefix of the checkpoint, or None where its files are not all there.
      frozen_graph: path of a TF1 archive's frozen_inference_graph.pb, or None.
      saved_model: folder of a TF2 archive's SavedModel, or None where its files are not all there.
      pipeline_config: path of pipeline.config, or None.
      sha256: of the archive itself, hexadecimal.
      size: of the archive itself, bytes.
    """

    checkpoint: str | None
    frozen_graph: pathlib.Path | None
    saved_model: pathlib.Path | None
    pipeline_config: pathlib.Path | None
    sha256: str
    size: int


def extract(path, folder, generation=1, check=lambda sha256: None):
    """Takes the checkpoint, the graph or SavedModel and the config of a .tar.gz into an empty folder.

    Args:
      path: the archive.
      folder: an existing, empty one.
      generation: 1 for the layout of the TF1 zoo, 2 for that of the TF2 zoo.
      check: called with the archive's SHA-256 before any of it is read; may raise.

    Returns:
      `Contents`.

    Raises:
      InputError: it is no whole .tar.gz, has members that point outside of it, is too large, or is not of that
        layout: without checkpoint and frozen graph (1), without checkpoint or config (2).
    """
    path, folder = pathlib.Path(path), pathlib.Path(folder)
    with readable(path), open(path, "rb") as file:
        digest = files.sha256(path)
        check(digest)
        size = file.seek(0, 2)
        file.seek(0)
        with gzip.open(file) as stream, tarfile.open(fileobj=_Bounded(stream, path), mode="r:") as tar:
            for name, member in _chosen(tar, path, folder, _WANTED[generation]).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    prefix = "model.ckpt" if generation == 1 else "checkpoint/ckpt-0"
    has_model = "saved_model/saved_model.pb" in found and _complete(found, "saved_model/variables/variables")
    contents = Contents(
        str(folder / prefix) if _complete(found, prefix) else None,
        folder / "frozen_inference_graph.pb" if "frozen_inference_graph.pb" in found else None,
        folder / "saved_model" if has_model else None,
        folder / "pipeline.config" if "pipeline.config" in found else None, digest, size)
    if generation == 1 and not contents.checkpoint and not contents.frozen_graph:
        raise InputError(f"{path}: holds neither a whole model.ckpt.* nor frozen_inference_graph.pb; is it an archive "
                         "of the TF1 detection zoo?")
    if generation == 2 and not (contents.checkpoint and contents.pipeline_config):
        lacks = "whole checkpoint/ckpt-0.*" if not contents.checkpoint else "pipeline.config"
        raise InputError(f"{path}: holds no {lacks}; is it an archive of the TF2 detection zoo?")
    return contents


@contextlib.contextmanager
def readable(path):
    """Turns what reading a damaged archive raises into an InputError."""
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: not a whole .tar.gz ({error}); get it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _chosen(tar, path, folder, wanted):
    """{path in the folder: member} of the files that are needed; all members are checked."""
    chosen, total = {}, 0
    for count, member in enumerate(tar, start=1):
        if count > MAX_FILES:
            raise InputError(f"{path}: holds more than {MAX_FILES} files; not an archive of the zoo")
        try:
            tarfile.data_filter(member, str(folder))
        except tarfile.FilterError as error:
            raise InputError(f"{path}: is not safe to extract: {error}") from error
        name = _below_top(posixpath.normpath(member.name), wanted)
        if name is None:
            continue
        if not member.isreg() or member.issparse():
            raise InputError(f"{path}: {member.name} is no plain file; not an archive of the zoo")
        if name in chosen:
            raise InputError(f"{path}: holds two files called {name}; not an archive of the zoo")
        total += member.size
        bound = MAX_CONFIG_BYTES if name == "pipeline.config" else MAX_BYTES
        if member.size > bound or total > MAX_BYTES:
            raise InputError(f"{path}: {member.name} has {member.size} bytes, more than any detector of the zoo")
        chosen[name] = member
    return chosen


def _below_top(name, wanted):
    """The path of a wanted file, at the archive's top or in the one folder that the zoo's archives have; or None."""
    for path in (name, name.partition("/")[2]):
        if wanted.fullmatch(path):
            return path
    return None


def _complete(found, prefix):
    """Whether the index and all numbered data files of a checkpoint are there."""
    data = sorted(name for name in found if name.startswith(f"{prefix}.data-"))
    return f"{prefix}.index" in found and bool(data) and int(data[0].rsplit("-", 1)[1]) == len(data)


class _Bounded:
    """A file that refuses reads larger than any header: tarfile reads those whole, whatever size they claim."""

    def __init__(self, file, path):
        self._file, self._path = file, path

    def read(self, size=-1):
        if size < 0 or size > _MAX_READ:
            raise InputError(f"{self._path}: has a header of {size} bytes; not an archive of the zoo")
        return self._file.read(size)

    def __getattr__(self, name):
        return getattr(self._file, name)
