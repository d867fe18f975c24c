"""What a frame's sequence is: one answer for splits, video and statistics, and known wherever there are sequences."""

import json

import pytest

from tests import records_data
from tfod_compress.records import RecordSet, convert, splits
from tfod_compress.support.errors import InputError
from tfod_compress.tasks.detection import metrics

SEQUENCE = r"^(seq\d+)/"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return records_data.make(tmp_path_factory.mktemp("data"), count=12, sequences=4)


def make(data, output, **options):
    made, = convert(data / "frames", data / "labels", output, workers_count=1, **{"qualities": (20,), **options})
    return made


def groups(record_set, split="val"):
    """{source_id: number of its unit} as statistics draw them; None where frames are drawn singly."""
    truth = metrics.record_set_ground_truth(record_set, split)
    return None if truth.groups is None else dict(zip(truth.image_ids, truth.groups.tolist(), strict=True))


def lists(folder, sides):
    folder.mkdir()
    for side, names in sides.items():
        (folder / f"{side}.txt").write_text("\n".join(names))
    return folder


def test_units_are_known_however_the_split_was_made(data, tmp_path):
    names = [f"seq{index % 4:03d}/{index:06d}" for index in range(12)]
    sides = {"train": [name for name in names if name < "seq002"], "val": [name for name in names if name > "seq002"]}
    chosen = {
        "split_by": {"split_by": SEQUENCE},
        "sequence_by": {"sequence_by": SEQUENCE},
        "both": {"sequence_by": SEQUENCE, "split_by": "^seq00([01])?"},  # coarser: two sequences, and the rest
        "lists": {"sequence_by": SEQUENCE, "split_files": lists(tmp_path / "lists", sides)},
        "folds": {"sequence_by": SEQUENCE, "folds": 2},
        "video": {"codec": "h264", "qualities": (30,)},
        "video by lists": {"codec": "h264", "qualities": (30,), "split_files": tmp_path / "lists"}}
    for name, options in chosen.items():
        made = make(data, tmp_path / name, **{"val_fraction": 0.5, **options})
        record_set = RecordSet(made.path)
        for split in record_set.splits:
            found = groups(record_set, split)
            assert found, name
            assert len(set(found.values())) == len({one.split("/")[0] for one in found}), name
        assert not any("on two sides" in line for line in made.manifest["warnings"])
    assert groups(RecordSet(make(data, tmp_path / "none").path)) is None


def test_earlier_manifests_name_their_unit_under_other_keys(data, tmp_path):
    made = make(data, tmp_path, codec="h264", qualities=(30,), val_fraction=0.5)
    manifest = json.loads((made.path / "manifest.json").read_text())
    del manifest["sequence_by"]
    for key in ("split_by", "sequences_by"):
        (made.path / "manifest.json").write_text(json.dumps({**manifest, "split_by": None, "sequences_by": None,
                                                             key: "^(.+)/"}))
        assert len(set(groups(RecordSet(made.path)).values())) == 2


@pytest.mark.parametrize("expression", [r"^(seq00[01])?.*/", r"^seq00(\d)|", r"seq00[01]", SEQUENCE])
def test_statistics_draw_the_groups_that_the_split_made(data, tmp_path, expression):
    """An optional group that takes no part leaves the whole match, for one as for the other."""
    record_set = RecordSet(make(data, tmp_path, sequence_by=expression, val_fraction=0.5).path) if (
        expression != "seq00[01]") else None
    if record_set is None:
        with pytest.raises(InputError, match="--sequence_by .* does not match the frame seq002"):
            make(data, tmp_path, sequence_by=expression)
        return
    found = groups(record_set)
    keys = splits.group_keys(list(found), expression)
    assert len(set(zip(keys, found.values(), strict=True))) == len(set(keys)) == len(set(found.values()))


def test_a_split_that_parts_sequences_is_refused_and_lists_that_do_are_told(data, tmp_path):
    with pytest.raises(InputError, match="are of one sequence .seq000. by --sequence_by.*--split_by.*may part them"):
        make(data, tmp_path, sequence_by=SEQUENCE, split_by=r"(\d+)$")
    names = [f"seq{index % 4:03d}/{index:06d}" for index in range(12)]
    made = make(data, tmp_path, sequence_by=SEQUENCE,
                split_files=lists(tmp_path / "lists", {"train": names[:6], "val": names[6:]}))
    line, = [line for line in made.manifest["warnings"] if "on two sides" in line]
    assert line.startswith("4 of 4 sequences")


def test_the_unit_is_not_part_of_the_plan_unless_it_was_asked_for(data, tmp_path):
    """Record sets of earlier versions, which did not write it, are recognised."""
    made = make(data, tmp_path, split_by=SEQUENCE)
    assert made.manifest["sequence_by"] == SEQUENCE and "sequence_by" not in made.manifest["plan"]
    manifest = {key: value for key, value in made.manifest.items() if key != "sequence_by"}
    (made.path / "manifest.json").write_text(json.dumps(manifest))
    assert make(data, tmp_path, split_by=SEQUENCE).was_there
    with pytest.raises(InputError, match="sequence_by was null"):
        make(data, tmp_path, split_by=SEQUENCE, sequence_by=SEQUENCE)


def test_record_sets_of_other_splits_are_not_compared(data, tmp_path):
    from tfod_compress.study import one_split

    by_frame, by_folder = (make(data, tmp_path / str(index), **options).path for index, options in enumerate((
        {"val_fraction": 0.5}, {"val_fraction": 0.5, "codec": "h264", "qualities": (30,)})))
    assert one_split.apart([by_frame, by_frame]) is None
    assert f"{by_frame} and {by_folder} hold other frames" in one_split.apart([by_frame, by_folder])
    same = make(data, tmp_path / "same", codec="png", qualities=(None,), sequence_by="^(.+)/", val_fraction=0.5).path
    assert one_split.apart([same, by_folder]) is None
