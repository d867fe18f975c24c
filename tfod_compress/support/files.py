"""Files: written whole or not at all, hashed, read where they are whole."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

from tfod_compress.support.errors import InputError


@contextlib.contextmanager
def atomic_file(path, mode="wb"):
    """Opens a temporary file beside `path` that takes its name when the block ends without an error.

    Args:
      path: the final name; missing parent folders are made.
      mode: "wb" for bytes or "w" for UTF-8 text with Unix line ends.

    Yields:
      The open file. It is flushed to the disk before the rename, so that a crash leaves either the old
      file, or the new one, whole.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, mode, **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path):
    """A new folder beside `path` that takes its name when the block ends without an error.

    Raises:
      InputError: `path` is a file, or a folder that holds something.
    """
    path = pathlib.Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: is there already; name a new folder, or delete it")
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield folder
        folder.chmod(0o777 & ~umask())
        os.replace(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path, value):
    """Writes `value` as indented JSON, whole or not at all; NaN and infinity are refused (ValueError)."""
    with atomic_file(path, "w") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")


def read_json(path) -> dict | None:
    """The object in a JSON file, or None where there is none that is whole."""
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def sha256(path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; OSError where it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def digest(path) -> str:
    """`sha256` of a file that has to be there; InputError where it cannot be read."""
    try:
        return sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def umask() -> int:
    """The process's mask of file permissions."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
