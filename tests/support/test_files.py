"""Files appear whole or not at all."""

import os

import pytest

from tfod_compress.support.files import atomic_file, write_json


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with atomic_file(path, "w") as file:
        file.write("old")
    with pytest.raises(RuntimeError), atomic_file(path, "w") as file:
        file.write("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["a.txt"]


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_file(path) as file:
        file.write(b"x")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"x"


def test_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert os.listdir(tmp_path) == []
