"""Where the models published with tensorflow-compression are: metagraph files on disk or at their address.

A model is one file, <name>.metagraph. The names of a family differ in a number at the end, which rises with the rate
(bmshj2018-hyperprior-msssim-5), and <family>.models at the address lists them. See metagraph.py for what is in a file.
No TensorFlow here.
"""

import functools
import pathlib
import re
import typing
import urllib.error

from tfod_compress.support import download, files
from tfod_compress.support.errors import InputError

ADDRESS = "https://storage.googleapis.com/tensorflow_compression/metagraphs"
SUFFIX = ".metagraph"
MAX_BYTES = 2**31 - 1  # a protocol buffer cannot be larger
_MAX_LIST_BYTES, _MAX_MODELS = 1 << 16, 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBERED = re.compile(r"(.+)-(\d{1,6})")


class Model(typing.NamedTuple):
    """A published model on disk.

    Attributes:
      name: as it stands in coded files, such as "bmshj2018-hyperprior-msssim-5".
      number: the one at the end of the name, 0 where there is none.
      path: of the metagraph.
      sha256: of the file, hexadecimal.
    """

    name: str
    number: int
    path: pathlib.Path
    sha256: str


def find(wanted, address=ADDRESS, downloads=None):
    """The models that `wanted` names, downloaded where they are not on disk.

    Args:
      wanted: a folder of metagraphs of one family; a path FOLDER/NAME, where NAME is a model or a family; or such a
        NAME alone, which is looked for at the address.
      address: where the models are published.
      downloads: folder that keeps the files and their hashes; None for metagraphs/ in the user's cache.

    Returns:
      [Model], by rising number.

    Raises:
      InputError: no such model, several families, a name that is none, or a download that failed or has changed.
    """
    path = pathlib.Path(wanted)
    if path.is_dir():
        return _models(sorted(path.glob(f"*{SUFFIX}")), path)
    if path.parent.is_dir() and path.parent != pathlib.Path("."):
        name = path.name.removesuffix(SUFFIX)
        alone = path.with_name(name + SUFFIX)
        return _models([alone] if alone.is_file() else
                       [file for file in sorted(path.parent.glob(f"*{SUFFIX}")) if _split(file)[0] == name], path)
    return _published(str(wanted), address.rstrip("/"),
                      pathlib.Path(downloads or download.default_folder() / "metagraphs"))


def _models(paths, wanted):
    """[Model] of files."""
    if not paths:
        raise InputError(f"{wanted}: no {SUFFIX} file of a published model there (--codec_model)")
    families = sorted({_split(path)[0] for path in paths})
    if len(families) > 1:
        folder = paths[0].parent
        raise InputError(f"{wanted}: has models of several families ({', '.join(families)}); name one of them: "
                         f"--codec_model {folder / families[0]}")
    for path in paths:
        if not _NAME.fullmatch(path.stem):
            raise InputError(f"{path}: {path.stem!r} is no model's name; give the file its published name")
    found = sorted((_model(path) for path in paths), key=lambda model: model.number)
    for one, other in zip(found[:-1], found[1:], strict=True):
        if one.number == other.number:
            raise InputError(f"{wanted}: {one.path.name} and {other.path.name} have the same number; remove one")
    return found


def _model(path):
    return Model(path.stem, _split(path)[1], path, _sha256(path))


def _split(path):
    """(family, number) of a file; a name without a number is a family of its own."""
    numbered = _NUMBERED.fullmatch(path.stem)
    return (numbered[1], int(numbered[2])) if numbered else (path.stem, 0)


def _sha256(path):
    try:
        state = path.stat()
        if state.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {state.st_size} bytes, and no metagraph has more than {MAX_BYTES}")
        return _digest(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=64)
def _digest(path, size, changed):
    del size, changed  # a file that was written anew is read anew
    return files.sha256(path)


def _published(name, address, folder):
    """[Model] of a name at the address."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name}: no such folder, and no name of a published model, such as "
                         "bmshj2018-hyperprior-msssim-5 (--codec_model)")
    names = [name] if _NUMBERED.fullmatch(name) or (folder / (name + SUFFIX)).is_file() else _listed(
        name, address, folder)
    return _models([_fetched(f"{address}/{each}{SUFFIX}", folder, MAX_BYTES) for each in names], name)


def _listed(family, address, folder):
    """[name] of a family's models; of `family` alone where there is no list of it."""
    try:
        path = _fetched(f"{address}/{family}.models", folder, _MAX_LIST_BYTES)
    except InputError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError):
            return [family]
        raise
    names = path.read_bytes().decode("ascii", "replace").split()
    if not names or len(names) > _MAX_MODELS or not all(
            _NAME.fullmatch(name) and _NUMBERED.fullmatch(name) and _NUMBERED.fullmatch(name)[1] == family
            for name in names):
        shown = ", ".join(names[:8]) if all(_NAME.fullmatch(name) for name in names) else "unreadable"
        raise InputError(f"{path}: does not list models of the family {family} by number ({shown}); name one model "
                         "with --codec_model")
    return names


def _fetched(url, folder, max_bytes):
    """Path of a downloaded file, which is the one that was downloaded the first time."""
    path = download.fetch(url, folder, "get the file in another way and name its folder with --codec_model", max_bytes)
    sha256 = _sha256(path)
    download.check(path, sha256)
    download.remember(path, sha256)
    return path
