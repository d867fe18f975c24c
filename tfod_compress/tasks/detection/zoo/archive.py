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

# The largest archive of the zoo's that can be converted is about 0.6 GB.
MAX_FILES = 10_000
MAX_CONFIG_BYTES = 1 << 20
MAX_BYTES = 4 << 30  # of all files taken out together
_MAX_READ = 64 << 20  # of one read: headers are read whole, and no real one is larger
_WANTED = re.compile(r"model\.ckpt\.(index|data-\d{5}-of-\d{5})|frozen_inference_graph\.pb|pipeline\.config")


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an archive held.

    Attributes:
      checkpoint: prefix of the TF1 checkpoint, or None where its files are not all there.
      frozen_graph: path of frozen_inference_graph.pb, or None.
      pipeline_config: path of pipeline.config, or None.
      sha256: of the archive itself, hexadecimal.
      size: of the archive itself, bytes.
    """

    checkpoint: str | None
    frozen_graph: pathlib.Path | None
    pipeline_config: pathlib.Path | None
    sha256: str
    size: int


def extract(path, folder, check=lambda sha256: None):
    """Takes the checkpoint, the frozen graph and the config of a .tar.gz into an empty folder.

    Args:
      path: the archive.
      folder: an existing, empty one.
      check: called with the archive's SHA-256 before any of it is read; may raise.

    Returns:
      `Contents`.

    Raises:
      InputError: it is no whole .tar.gz, has members that point outside of it, is too large, or has neither a
        checkpoint nor a frozen graph.
    """
    path, folder = pathlib.Path(path), pathlib.Path(folder)
    with readable(path), open(path, "rb") as file:
        digest = files.sha256(path)
        check(digest)
        size = file.seek(0, 2)
        file.seek(0)
        with gzip.open(file) as stream, tarfile.open(fileobj=_Bounded(stream, path), mode="r:") as tar:
            for name, member in _chosen(tar, path, folder).items():
                with tar.extractfile(member) as source, open(folder / name, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    found = {file.name for file in folder.iterdir()}
    contents = Contents(
        str(folder / "model.ckpt") if _complete(found) else None,
        folder / "frozen_inference_graph.pb" if "frozen_inference_graph.pb" in found else None,
        folder / "pipeline.config" if "pipeline.config" in found else None, digest, size)
    if not contents.checkpoint and not contents.frozen_graph:
        raise InputError(f"{path}: holds neither a whole model.ckpt.* nor frozen_inference_graph.pb; is it an archive "
                         "of the TF1 detection zoo?")
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


def _chosen(tar, path, folder):
    """{file name: member} of the files that are needed; all members are checked."""
    chosen, total = {}, 0
    for count, member in enumerate(tar, start=1):
        if count > MAX_FILES:
            raise InputError(f"{path}: holds more than {MAX_FILES} files; not an archive of the zoo")
        try:
            tarfile.data_filter(member, str(folder))
        except tarfile.FilterError as error:
            raise InputError(f"{path}: is not safe to extract: {error}") from error
        name = posixpath.basename(member.name)
        # Only at the top or in the one folder that the zoo's archives have: not in saved_model/ and the like.
        if not _WANTED.fullmatch(name) or posixpath.normpath(member.name).count("/") > 1:
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


def _complete(found):
    """Whether the index and all numbered data files are there."""
    data = sorted(name for name in found if ".data-" in name)
    return "model.ckpt.index" in found and bool(data) and int(data[0].rsplit("-", 1)[1]) == len(data)


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
