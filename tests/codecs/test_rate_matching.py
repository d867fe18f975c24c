"""Rate matching: the quality nearest below a rate, for whole record sets and for each frame."""

import csv
import json

import numpy as np
import pytest

from tests import records_data
from tfod_compress import codecs
from tfod_compress.codecs import rate_matching
from tfod_compress.codecs.base import Codec
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError


class Weight(Codec):
    """A codec whose frames cost a given number of bytes, the more the lower its fractional quality."""

    name, lowest, highest, higher_is_better, whole_numbers, parameter = "weight", 0.0, 25.0, False, False, "d"
    rate_falls = (0, 0)

    def encode(self, rgb, quality):
        return bytes(int(rgb[0, 0, 0] * 1000 / (1 + quality)))

    def decode(self, data):
        raise NotImplementedError

    def version(self):
        return "1"


def test_fractions_and_scales_that_fall_with_the_rate():
    codec = Weight()
    levels = rate_matching.Levels(codec)
    assert levels.quality(0) == 25 and levels.quality(levels.last) == 0 and levels.last == 2500
    assert levels.quality(1) == 24.99
    rgb = np.full((10, 100, 3), 7, np.uint8)
    quality, data = rate_matching.encode_frame(codec, rgb, 8.0)  # 1,000 bytes = 7,000 / (1 + 6)
    assert quality == 6 and len(data) == 1000


def test_all_frames_decide_and_not_the_sample():
    """The sample is of cheap frames; the rate over all of them needs another quality."""
    codec, frames = Weight(), {f"{index:03d}": 1000 for index in range(100)}
    passes = []

    def measure(chosen, qualities, what):
        passes.append((len(chosen), what))
        cheap = what == "a sample"
        return [sum(int((1 if cheap else 3) * 1000 / (1 + quality)) for _ in chosen) for quality in qualities]

    (quality, proof), = rate_matching.match(codec, frames, [4.0], measure).values()
    below, above = sorted(proof.values())
    assert proof[quality] == below <= 4.0 < above
    assert quality == pytest.approx(5.0, abs=0.01)  # 3,000 / (1 + 5) bytes on 1,000 pixels
    assert {count for count, _ in passes} == {rate_matching.SAMPLE_FRAMES, 100}


def test_a_rate_out_of_reach_says_what_is_in_reach():
    with pytest.raises(InputError, match=r"0\.001: jpeg needs 1\.8\d+ bits .* q1,"):
        rate_matching.match(codecs.get("jpeg"), {0: 64 * 48}, [0.001], lambda frames, qualities, what: [
            len(codecs.get("jpeg").encode(records_data.scene(0), quality)) for quality in qualities])
    with pytest.raises(InputError, match="png is lossless"):
        rate_matching.Levels(codecs.get("png"))


@pytest.fixture(scope="module")
def matched(tmp_path_factory, run_tool):
    folder = records_data.make(tmp_path_factory.mktemp("matched"), count=30)
    process = run_tool("make_tfrecords", *records_data.arguments(folder, "--target_bpp", "4,3", "--measure", "none"))
    assert process.returncode == 0, process.stderr
    return folder


def rates_of(quality):
    codec = codecs.get("jpeg")
    return [8 * len(codec.encode(records_data.scene(index), quality)) / (64 * 48) for index in range(30)]


@pytest.mark.parametrize("target", [4, 3])
def test_a_record_set_is_nearest_below_its_target(matched, target):
    records = RecordSet(matched / f"tfrecords/jpeg-bpp{target}")
    manifest = records.manifest
    quality = manifest["quality"]
    assert manifest["target_bpp"] == target and manifest["rate_per_frame"] is False
    here, better = (np.mean(rates_of(at)) for at in (quality, quality + 1))
    assert manifest["bpp"] == pytest.approx(here, abs=1e-9)
    assert here <= target < better
    assert manifest["rates"] == pytest.approx({f"{quality}": here, f"{quality + 1}": better})
    for example in records.examples("val"):
        assert example.encoded == codecs.get("jpeg").encode(records_data.scene(int(example.source_id[-6:])), quality)
    assert {path.name for path in records.path.iterdir()} == {*manifest["files"], "manifest.json"}


def test_a_rate_matched_record_set_is_the_one_of_its_quality(matched):
    """And what is there is not searched again."""
    folder = matched / "tfrecords/jpeg-bpp4"
    quality = json.loads((folder / "manifest.json").read_text())["quality"]
    plain, = convert(matched / "frames", matched / "labels", matched / "plain", qualities=(quality,), workers_count=1,
                     measure="none")
    assert plain.manifest["files"] == json.loads((folder / "manifest.json").read_text())["files"]
    said = []
    again, = convert(matched / "frames", matched / "labels", matched / "tfrecords", target_bpp=(4,), workers_count=1,
                     measure="none", say=said.append)
    assert again.was_there and not any("bits per pixel" in line for line in said)


def test_each_frame_is_nearest_below_its_target(matched):
    made, = convert(matched / "frames", matched / "labels", matched / "tfrecords", target_bpp=(3.5,),
                    rate_per_frame=True, workers_count=1)
    assert made.path.name == "jpeg-bpp3.5-per-frame"
    assert made.manifest["quality"] is None and made.manifest["rate_per_frame"] is True
    with open(made.path / "images.csv", newline="") as file:
        rows = {int(row["source_id"][-6:]): row for row in csv.DictReader(file)}
    used = {index: int(row["quality"]) for index, row in rows.items()}
    assert len(set(used.values())) > 1
    codec = codecs.get("jpeg")
    for index, quality in used.items():
        here, better = (8 * len(codec.encode(records_data.scene(index), at)) / (64 * 48)
                        for at in (quality, quality + 1))
        assert here <= 3.5 < better and float(rows[index]["bpp"]) == pytest.approx(here, abs=1e-6)
    assert made.manifest["frames_above_target"] == 0
    low, = convert(matched / "frames", matched / "labels", matched / "tfrecords", target_bpp=(0.5,),
                   rate_per_frame=True, workers_count=1)
    assert low.manifest["frames_above_target"] == 30  # JPEG 1 costs more; it is used, and said


@pytest.mark.parametrize("more, code, told", [
    (["--target_bpp", "1", "--quality", "20"], 2, "leave out --quality"),
    (["--target_bpp", "low"], 2, "not a number"),
    (["--target_bpp", "0"], 1, "must be above 0"),
    (["--target_bpp", "1", "--codec", "png"], 1, "png is lossless"),
    (["--rate_per_frame"], 1, "goes with --target_bpp"),
    (["--target_bpp", "0.01"], 1, "at its lowest rate, q1"),
])
def test_bad_input_is_one_line(more, code, told, tmp_path, run_tool):
    records_data.make(tmp_path, count=3)
    process = run_tool("make_tfrecords", *records_data.arguments(tmp_path, *more))
    assert process.returncode == code
    assert told in process.stderr and len(process.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("tfrecords/[!.]*"))
