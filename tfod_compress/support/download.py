"""Downloads that go on where they were interrupted, and whose contents must not change from one time to the next."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import urllib.error
import urllib.request

from tfod_compress import __version__
from tfod_compress.support import locks
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import read_json, write_json
from tfod_compress.support.progress import Bar

MAX_BYTES = 2 << 30
TIMEOUT = 60  # seconds without a byte
_CHUNK = 1 << 18


def default_folder():
    """Where unfinished downloads and the hashes of finished ones are kept: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "tfod_compress"


def fetch(url, folder, instead="get the file in another way", max_bytes=None):
    """Downloads a file, or takes what an earlier call has left of it.

    Args:
      url: http or https.
      folder: gets <file> when all of it is there, before that <file>.part and <file>.part.json.
      instead: for messages: what the user can do without this download.
      max_bytes: larger files are refused; None: MAX_BYTES.

    Returns:
      The path of the whole file.

    Raises:
      InputError: the server does not give it, the connection broke (what arrived is kept), or it is too large.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / url.rsplit("/", 1)[1]
    if whole.is_file():
        return whole
    part = whole.with_name(whole.name + ".part")
    try:
        with open(part, "ab") as file, _alone(file, part):
            # A restart is due once at most: when the server no longer has what an earlier call began.
            if not _receive(url, file, part, instead, max_bytes or MAX_BYTES, resume=True):
                _receive(url, file, part, instead, max_bytes or MAX_BYTES, resume=False)
    except urllib.error.HTTPError as error:
        raise InputError(f"{url}: the server answers {error.code} {error.reason}; {instead}") from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        kept = part.stat().st_size if part.exists() else 0
        raise InputError(f"{url}: the download failed ({reason}); {kept} bytes are kept, run again to go on, or "
                         f"{instead}") from error
    os.replace(part, whole)
    _note(part).unlink(missing_ok=True)
    return whole


def check(path, sha256):
    """Compares a downloaded file with the hash that `remember` noted for its name, where there is one.

    Raises:
      InputError: it is another one. The file is deleted, so that the next run downloads it again.
    """
    known = _remembered(path.parent).get(path.name)
    if known not in (None, sha256):
        path.unlink()
        raise InputError(f"{path.name}: its SHA-256 is {sha256}, but an earlier download had {known}: the file has "
                         "changed, on the server or here. It was deleted; if you trust the new one, remove the line "
                         f"in {_hashes(path.parent)}")


def remember(path, sha256):
    """Notes the hash of a download that was found good."""
    known = _remembered(path.parent)
    if known.get(path.name) != sha256:
        write_json(_hashes(path.parent), {**known, path.name: sha256})


def _receive(url, file, part, instead, max_bytes, resume):
    """Writes the rest of the file; False where it must be begun anew."""
    have = file.seek(0, os.SEEK_END) if resume else file.truncate(0)
    note = _read_note(part)
    headers = {"User-Agent": f"tfod_compress/{__version__}"}
    if have and note.get("url") == url and note.get("validator"):
        # If-Range: the rest comes only if the file on the server is still the same.
        headers |= {"Range": f"bytes={have}-", "If-Range": note["validator"]}
    elif have:
        return False
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return False
        raise
    with response:
        if response.status == http.client.PARTIAL_CONTENT:
            span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
            if not span or int(span[1]) != have:
                return False
            total = int(span[3])
        else:
            have = file.truncate(0)
            length = response.headers.get("Content-Length", "")
            if not length.isdigit():
                raise InputError(f"{url}: the server does not tell the size; {instead}")
            total = int(length)
        if total > max_bytes:
            raise InputError(f"{url}: has {total} bytes, and no such file has more than {max_bytes}")
        if not have:
            write_json(_note(part), {"url": url, "validator": _validator(response.headers)})
        with Bar(url.rsplit("/", 1)[1], -(-total // 1000), "kB", done=have // 1000) as bar:
            while block := response.read(_CHUNK):
                file.write(block)
                have += len(block)
                bar.update(-(-have // 1000))
            file.flush()
            os.fsync(file.fileno())
    if have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")
    if have > total:
        raise InputError(f"{url}: sent {have} bytes instead of {total}; remove {part}")
    return True


def _validator(headers):
    """What says that a file is still the same: its entity tag unless that is a weak one, or its date."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _note(part):
    return part.with_name(part.name + ".json")


def _read_note(part):
    return read_json(_note(part)) or {}


def _hashes(folder):
    return folder / "sha256.json"


def _remembered(folder):
    try:
        known = json.loads(_hashes(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{_hashes(folder)}: cannot be read ({error}); repair or remove it") from error
    if not isinstance(known, dict):
        raise InputError(f"{_hashes(folder)}: is no list of hashes; remove it")
    return known


@contextlib.contextmanager
def _alone(file, part):
    """Refuses a second download of the same file at the same time."""
    if not locks.taken(file):
        raise InputError(f"{part}: another process is downloading it; wait for that one")
    yield
