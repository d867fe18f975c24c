"""Downloads from a server on this machine: resumed, restarted, refused."""

import hashlib
import http.server
import os
import re
import threading

import pytest

from tfod_compress.support import download
from tfod_compress.support.errors import InputError

DATA = bytes(os.urandom(700_000))
FILE = "model_2018_01_28.tar.gz"


class Server:
    """Serves one file; what it does can be changed from one request to the next.

    Attributes:
      file, data, etag: what is served, and what it is called.
      ranges: whether it answers range requests.
      break_after: bytes of a body after which it closes the connection, or None.
      length: whether it tells the size.
      requests: (Range header or None, status, bytes sent) of all so far.
    """

    def __init__(self):
        self.file = FILE
        self.data, self.etag, self.ranges, self.break_after, self.length = DATA, '"one"', True, None, True
        self.requests = []
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                served.answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.ranges else 0
        if start and handler.headers.get("If-Range") not in (None, self.etag):
            start = 0
        if not handler.path.endswith(self.file):
            handler.send_error(404)
            return
        if start >= len(self.data):
            handler.send_error(416)
            self.requests.append((wanted, 416, 0))
            return
        body = self.data[start:]
        status = 206 if start else 200
        handler.send_response(status)
        handler.send_header("ETag", self.etag)
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        handler.end_headers()
        body = body[: self.break_after]
        handler.wfile.write(body)
        self.requests.append((wanted, status, len(body)))

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def test_a_whole_download_shows_its_progress(server, tmp_path, capsys):
    path = download.fetch(f"{server.address}/{FILE}", tmp_path / "new")
    assert path.read_bytes() == DATA
    assert [file.name for file in path.parent.iterdir()] == [FILE]
    assert f"{FILE} 700/700" in capsys.readouterr().out
    assert download.fetch(f"{server.address}/{FILE}", tmp_path / "new") == path
    assert len(server.requests) == 1, "what is there is not downloaded again"


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.break_after = 300_000
    with pytest.raises(InputError, match="300000 bytes are kept"):
        download.fetch(f"{server.address}/{FILE}", tmp_path)
    with pytest.raises(InputError, match="600000 bytes are kept"):
        download.fetch(f"{server.address}/{FILE}", tmp_path)
    server.break_after = None
    assert download.fetch(f"{server.address}/{FILE}", tmp_path).read_bytes() == DATA
    assert server.requests == [(None, 200, 300_000), ("bytes=300000-", 206, 300_000), ("bytes=600000-", 206, 100_000)]


@pytest.mark.parametrize("change", ["the file", "no ranges", "an unknown part", "a shorter file"])
def test_a_download_that_cannot_go_on_begins_anew(server, tmp_path, change):
    """No byte of an older file may end up in a newer one."""
    server.break_after = 300_000
    with pytest.raises(InputError):
        download.fetch(f"{server.address}/{FILE}", tmp_path)
    server.break_after = None
    if change == "the file":
        server.data, server.etag = DATA[::-1], '"two"'
    elif change == "no ranges":
        server.ranges = False
    elif change == "a shorter file":
        server.data = DATA[:200_000]
    else:
        (tmp_path / f"{FILE}.part.json").unlink()
    assert download.fetch(f"{server.address}/{FILE}", tmp_path).read_bytes() == server.data
    assert server.requests[-1][1] == 200


def test_a_server_that_is_not_there_or_has_no_such_file(server, tmp_path):
    with pytest.raises(InputError, match="404.*give it with --archive"):
        download.fetch(f"{server.address}/other.tar.gz", tmp_path, "give it with --archive")
    server.close()
    with pytest.raises(InputError, match="the download failed.*give it with --archive"):
        download.fetch(f"{server.address}/{FILE}", tmp_path, "give it with --archive")


def test_sizes_that_are_unknown_or_absurd_are_refused(server, tmp_path, monkeypatch):
    server.length = False
    with pytest.raises(InputError, match="does not tell the size"):
        download.fetch(f"{server.address}/{FILE}", tmp_path)
    server.length = True
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="700000 bytes"):
        download.fetch(f"{server.address}/{FILE}", tmp_path)
    with pytest.raises(InputError, match="more than 500"):
        download.fetch(f"{server.address}/{FILE}", tmp_path, max_bytes=500)


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    import fcntl

    with open(tmp_path / f"{FILE}.part", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(InputError, match="another process"):
            download.fetch(f"{server.address}/{FILE}", tmp_path)
    assert server.requests == []


def test_a_hash_is_remembered_and_a_changed_file_refused(tmp_path):
    path = tmp_path / FILE
    path.write_bytes(DATA)
    one, other = (hashlib.sha256(data).hexdigest() for data in (DATA, DATA[::-1]))
    download.check(path, one)  # nothing is known yet
    download.remember(path, one)
    download.remember(tmp_path / "another.tar.gz", other)
    download.check(path, one)
    with pytest.raises(InputError, match=f"(?s){other}.*{one}.*sha256.json"):
        download.check(path, other)
    assert not path.exists()
    (tmp_path / "sha256.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be read"):
        download.check(path, one)
