"""Metrics of classification: by hand, against TensorFlow's, as functions of weights; and predictions.json."""

import json

import numpy as np
import pytest

from tfod_compress.support.errors import InputError
from tfod_compress.tasks.classification import classes, predictions
from tfod_compress.tasks.classification.scores import Scorer
from tfod_compress.tasks.classification.summary import METRICS, summarise
from tfod_compress.tasks.classification.truth import Predictions, Truth, pool, same


def made(images=60, classes=12, seed=0, right=0.6, groups=None):
    """(Truth, float [I, C] scores) with ids that have gaps; the right class is best-scored about as often as asked."""
    rng = np.random.default_rng(seed)
    ids = np.arange(1, 2 * classes, 2)
    of = rng.integers(classes, size=images)
    scores = rng.dirichlet(np.ones(classes), images)
    best = rng.random(images) < right
    scores[best, of[best]] += 1
    scores /= scores.sum(axis=1, keepdims=True)
    truth = Truth(tuple(f"seq{index // 5:03d}/{index:04d}" for index in range(images)), np.full((images, 2), 32),
                  {int(number): f"c{number}" for number in ids}, ids[of], groups)
    return truth, scores


def predicted(truth, scores, count=10):
    return Predictions.of_scores(scores, sorted(truth.class_names), count)


def test_by_hand():
    truth = Truth(("a", "b", "c", "d"), np.full((4, 2), 8), {1: "cat", 2: "dog", 7: "emu"}, np.array([1, 1, 1, 2]))
    found = Predictions(np.array([[1, 2, 7], [1, 7, 2], [2, 1, 7], [7, 1, 2]]), np.tile([0.5, 0.3, 0.2], (4, 1)))
    result = summarise(truth, found)
    assert result["top1"]["value"] == 0.5 and result["top5"]["value"] == 1.0
    assert result["mean_class_accuracy"]["value"] == pytest.approx((2 / 3 + 0) / 2)  # no emu is there to be found
    assert result["accuracy_per_class"] == {"cat": pytest.approx(2 / 3), "dog": 0.0, "emu": None}
    assert result["confusion"] == {"classes": ["cat", "dog", "emu"], "matrix": [[2, 1, 0], [0, 0, 1], [0, 0, 0]]}
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize("seed", range(3))
def test_top_k_is_tensorflows(seed):
    import tensorflow as tf

    truth, scores = made(seed=seed)
    index = np.searchsorted(sorted(truth.class_names), truth.class_ids)
    result = summarise(truth, predicted(truth, scores))
    for name, k in (("top1", 1), ("top5", 5)):
        found = tf.keras.metrics.sparse_top_k_categorical_accuracy(index, scores.astype(np.float32), k=k)
        assert result[name]["value"] == pytest.approx(found.numpy().mean())


def test_a_weight_counts_as_so_many_copies_of_an_image():
    truth, scores = made(seed=3)
    weights = np.random.default_rng(1).integers(0, 4, len(truth.image_ids))
    rows = np.repeat(np.arange(len(weights)), weights)
    copies = Truth(tuple(f"{number:05d}" for number in range(len(rows))), truth.sizes[rows], truth.class_names,
                   truth.class_ids[rows])
    whole, weighted = Scorer(copies, predicted(copies, scores[rows])), Scorer(truth, predicted(truth, scores))
    for metric in METRICS:
        assert weighted.value(metric, weights[None].astype(float))[0] == pytest.approx(
            whole.value(metric, np.ones((1, len(rows))))[0])


def test_units_of_intervals_are_sequences():
    groups = np.arange(60) // 5
    alone, together = (summarise(*_with(made(seed=5, groups=each))) for each in (None, groups))
    assert (alone["intervals"]["unit"], together["intervals"]["unit"], together["intervals"]["units"]) == (
        "image", "sequence", 12)
    for metric in METRICS:
        assert alone[metric]["value"] == together[metric]["value"]
        assert alone[metric]["low"] < alone[metric]["value"] < alone[metric]["high"] or metric == "top5"


def _with(pair):
    return pair[0], predicted(*pair)


def test_folds_together_are_the_whole():
    groups = np.arange(60) // 5
    truth, scores = made(seed=9, groups=groups)
    parts = []
    for fold in range(3):
        chosen = np.flatnonzero(groups % 3 == fold)
        part = Truth(tuple(truth.image_ids[index] for index in chosen), truth.sizes[chosen], truth.class_names,
                     truth.class_ids[chosen], np.unique(groups[chosen], return_inverse=True)[1])
        parts.append((part, predicted(part, scores[chosen])))
    pooled, found = pool(parts)
    assert same(pooled, truth) and not same(parts[0][0], parts[1][0])
    whole, together = summarise(truth, predicted(truth, scores)), summarise(pooled, found)
    assert together["confusion"] == whole["confusion"] and together["intervals"] == whole["intervals"]
    for metric in METRICS:
        assert together[metric] == pytest.approx(whole[metric])


def test_matched_classes_are_told():
    matched = classes.match({1: "cat", 2: "gnu"}, {4: "cat", 5: "dog"}, "model", "set")
    note, = classes.notes({"classes": matched.described(), "record_set": "set"})
    assert note.endswith("both sides have: cat; pictures of dog are left out; scores of gnu are left out")
    assert classes.notes({"record_set": "set"}) == []


def test_of_equal_scores_the_lower_id_comes_first():
    found = Predictions.of_scores(np.array([[0.2, 0.4, 0.4]]), [9, 5, 3], 2)
    assert found.class_ids.tolist() == [[3, 5]]


def test_predictions_come_back(tmp_path):
    truth, scores = made(seed=7)
    found = predicted(truth, scores.astype(np.float32))
    predictions.write(tmp_path / "predictions.json", truth, found)
    again = predictions.read(tmp_path / "predictions.json", truth)
    np.testing.assert_array_equal(again.class_ids, found.class_ids)
    np.testing.assert_array_equal(again.scores.astype(np.float32), found.scores.astype(np.float32))
    rows = json.loads((tmp_path / "predictions.json").read_text())
    (tmp_path / "turned.json").write_text(json.dumps(rows[::-1]))
    np.testing.assert_array_equal(predictions.read(tmp_path / "turned.json", truth).class_ids, found.class_ids)


@pytest.mark.parametrize(("change", "message"), [
    (lambda rows: rows.pop(), "no predictions on 1 images"),
    (lambda rows: rows.append(rows[0]), "1 images come twice"),
    (lambda rows: rows.append({**rows[0], "image_id": "x"}), "1 images that ground truth lacks: x"),
    (lambda rows: rows[0].update(class_ids=[1] * 10), "comes twice for one image"),
    (lambda rows: rows[0].update(class_ids=[2, *rows[0]["class_ids"][1:]]), "class ids 2 are not among"),
    (lambda rows: rows[0].update(scores=[1.5, *rows[0]["scores"][1:]]), r"outside \[0, 1\]"),
    (lambda rows: rows[0].update(scores=rows[0]["scores"][::-1]), "scores must fall"),
    (lambda rows: rows[0].update(scores=rows[0]["scores"][:3]), "not predictions"),
    (lambda rows: rows[0].pop("scores"), "not predictions"),
    (lambda rows: rows.clear(), "not predictions"),
    (lambda rows: rows[0].update(class_ids=["a"] * 10), "not predictions"),
])
def test_what_is_no_predictions_is_told(tmp_path, change, message):
    truth, scores = made()
    predictions.write(tmp_path / "predictions.json", truth, predicted(truth, scores))
    rows = json.loads((tmp_path / "predictions.json").read_text())
    change(rows)
    (tmp_path / "predictions.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match=message) as told:
        predictions.read(tmp_path / "predictions.json", truth)
    assert "\n" not in str(told.value)
