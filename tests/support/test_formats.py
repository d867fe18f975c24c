"""Files of a later format are refused by who reads them; those of version 0.1.0, which named none, are taken over."""

import json

import pytest

from tests import records_data
from tests.study_files import DEMO, changed
from tfod_compress import study
from tfod_compress.records import RecordSet, convert
from tfod_compress.study import stamps
from tfod_compress.support.errors import InputError
from tfod_compress.support.formats import FORMAT, check

LATER = FORMAT + 1


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """The folder of a record set."""
    folder = records_data.make(tmp_path_factory.mktemp("records"), count=4)
    made, = convert(folder / "frames", folder / "labels", folder / "tfrecords", codec="jpeg", qualities=(20,),
                    workers_count=1)
    return made.path


def test_a_record_set_says_its_format_and_a_later_one_is_refused(records, run_tool):
    path = records / "manifest.json"
    text = path.read_text()
    manifest = json.loads(text)
    assert manifest["format"] == FORMAT and "format" not in manifest["plan"]
    try:
        path.write_text(json.dumps({name: value for name, value in manifest.items() if name != "format"}))
        assert RecordSet(records).splits  # as 0.1.0 wrote it
        path.write_text(json.dumps(manifest | {"format": LATER}))
        with pytest.raises(InputError, match=f"manifest.json: has format {LATER}, and this version"):
            RecordSet(records)
        process = run_tool("make_tfrecords", "--frames", records.parents[1] / "frames", "--labels",
                           records.parents[1] / "labels", "--quality", 20, "--output", records.parent)
        assert process.returncode == 1 and f"has format {LATER}" in process.stderr
        assert process.stderr.count("\n") == 1
    finally:
        path.write_text(text)


def test_a_study_of_a_later_format_is_refused_before_its_unknown_keys(tmp_path):
    path = changed(tmp_path, format=LATER, something_new=1)
    with pytest.raises(InputError, match=f"has format {LATER}, and this version"):
        study.read(path)


@pytest.mark.parametrize("value", [0, -1, "1", 1.0, True, None])
def test_what_is_no_format_is_told(value):
    with pytest.raises(InputError, match="x.yaml: format: .* is no format"):
        check({"format": value}, "x.yaml")


def test_results_of_a_later_format_are_refused(tmp_path, run_tool):
    (tmp_path / "results.json").write_text(json.dumps({"format": LATER, "points": []}))
    process = run_tool("make_report", tmp_path)
    assert process.returncode == 1 and f"results.json: has format {LATER}" in process.stderr


def test_stamps_are_those_of_version_0_1_0():
    """As it wrote them for the first commands of the demo; another digest would run finished studies again."""
    found = stamps.digests(study.graph(study.read(DEMO), "w"))
    assert found["frames"]["all"] == "765fed59b171f1f5" and found["records jpeg"]["all"] == "860d0259df718bec"
