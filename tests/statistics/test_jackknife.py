"""Intervals: by hand, their units, the rule of non-inferiority, ratios; nothing depends on chance."""

import numpy as np
import pytest
from scipy import stats

from tests.detection_data import make, take
from tfod_compress import tasks
from tfod_compress.statistics import jackknife
from tfod_compress.statistics.intervals import not_worse
from tfod_compress.tasks.detection import metrics
from tfod_compress.tasks.detection.metrics import Detections
from tfod_compress.tasks.detection.metrics.summary import summarise


def without_each(numbers):
    """float64 [1 + n]: the mean of all numbers, and without each."""
    numbers = np.asarray(numbers, float)
    return np.array([numbers.mean(), *((numbers.sum() - number) / (len(numbers) - 1) for number in numbers)])


def test_of_a_mean_it_is_students_interval():
    half = np.random.default_rng(0).normal(0, 0.2, 8)
    numbers = 0.1 + np.concatenate([half, -half])  # without skewness
    found = jackknife.difference(without_each(numbers))
    expected = stats.t.interval(0.95, 15, numbers.mean(), stats.sem(numbers))
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=1e-12)
    assert found["p_value"] == pytest.approx(stats.ttest_1samp(numbers, 0).pvalue, abs=1e-12)
    assert jackknife.difference(without_each(-numbers))["p_value"] == pytest.approx(found["p_value"], abs=1e-12)
    assert jackknife.p_above(without_each(numbers), -0.05) == pytest.approx(
        stats.ttest_1samp(numbers, -0.05, alternative="greater").pvalue, abs=1e-12)


def test_skewness_moves_an_end_out_and_none_in():
    rng = np.random.default_rng(2)
    losses = -np.concatenate([rng.uniform(0, 0.01, 16), [0.12, 0.1]])  # two sequences are hurt
    found, sem = jackknife.difference(without_each(losses)), stats.sem(losses)
    low, high = stats.t.interval(0.95, 17, losses.mean(), sem)
    assert found["low"] < low - 0.2 * sem and found["high"] == pytest.approx(high, abs=1e-12)
    assert jackknife.p_above(without_each(losses), found["low"]) == pytest.approx(0.025, abs=1e-3)
    turned = jackknife.difference(without_each(-losses))
    assert (turned["low"], turned["high"]) == pytest.approx((-found["high"], -found["low"]), abs=1e-12)


def test_an_accuracy_stays_within_its_range_and_holds_its_corrected_value():
    for numbers in ([0.0] * 11 + [0.1], [1.0] * 11 + [0.9], list(np.linspace(0, 1, 12))):
        values = without_each(numbers)
        found = jackknife.accuracy(values)
        assert 0 < found["low"] < found["value"] < found["high"] < 1
    # Biased upwards, as mAP is with rare classes: without any one unit it is higher still, so it was higher before.
    values = np.array([0.5, *np.linspace(0.5, 0.54, 20)])
    symmetric = values.copy()
    symmetric[1:] -= symmetric[1:].mean() - 0.5
    assert jackknife.accuracy(values)["low"] < jackknife.accuracy(symmetric)["low"] - 0.1
    assert jackknife.accuracy(values)["high"] == pytest.approx(jackknife.accuracy(symmetric)["high"], abs=1e-9)
    for constant in (0.0, 0.3, 1.0):
        assert jackknife.accuracy(np.full(9, constant)) == {"value": constant, "low": constant, "high": constant}


def test_units_are_sequences_where_there_are_some_and_never_more_than_that():
    four = jackknife.units(12, np.repeat(np.arange(4), 3))
    assert (four.name, four.count, four.parts) == ("sequence", 4, 4)
    weights = four.weights()
    assert weights[0].all() and (weights[1:].reshape(4, 4, 3).sum(axis=(1, 2)) == 9).all()
    assert (weights[1:].reshape(4, 4, 3) == weights[1:].reshape(4, 4, 3)[:, :, :1]).all()
    two = jackknife.units(6, np.array([0, 0, 0, 5, 5, 5]))
    assert (two.name, two.count) == ("sequence", 2)
    assert (jackknife.units(12, None).name, jackknife.units(12, None).count) == ("image", 12)
    many = jackknife.units(10 * jackknife.MOST + 7, None)
    assert many.parts == jackknife.MOST and np.bincount(many.of_image).min() >= 10


def test_one_sequence_has_no_interval_and_is_not_taken_for_independent_frames():
    truth, detections = make(seed=51, images=20)
    found = metrics.evaluated(truth, detections, groups=np.zeros(20, int))
    assert all(each["low"] is None and each["high"] is None for each in found.values())
    both = metrics.paired_difference(truth, detections, detections, groups=np.zeros(20, int))
    assert both == {"value": 0.0, "low": None, "high": None, "p_value": None}


def test_copies_in_a_sequence_carry_no_information_of_their_own():
    truth, detections = make(seed=51, images=60)
    copies = take(truth, detections, np.repeat(np.arange(60), 4))
    alone, together = (metrics.evaluated(*copies, ("weighted_map",), groups=groups)["weighted_map"]
                       for groups in (None, np.repeat(np.arange(60), 4)))
    assert together["high"] - together["low"] > 1.6 * (alone["high"] - alone["low"])


def test_the_numbers_are_the_same_every_time_and_in_any_order_of_the_images():
    truth, detections = make(seed=50, images=40)
    first = summarise(truth, detections, 0.5)
    assert first == summarise(truth, detections, 0.5)
    assert first["intervals"] == {"method": "jackknife", "confidence": 0.95, "unit": "image", "units": 40}
    shuffled = metrics.evaluated(*take(truth, detections, np.random.default_rng(0).permutation(40)))
    for metric, each in metrics.evaluated(truth, detections).items():
        assert shuffled[metric] == pytest.approx(each, abs=1e-9)
        assert each["low"] < each["value"] < each["high"]


def test_a_ratio_has_fiellers_interval():
    rng = np.random.default_rng(3)
    bottom = rng.normal(1.0, 0.3, 25)
    top = 0.4 * bottom + rng.normal(0, 0.1, 25)
    a, b = without_each(top), without_each(bottom)
    found = jackknife.ratio(a, b)
    assert found["value"] == pytest.approx(a[0] / b[0])
    # Fieller: the ends are the ratios at which the difference top - ratio * bottom is just not told from zero.
    for end in (found["low"], found["high"]):
        assert jackknife.difference(a - end * b)["p_value"] == pytest.approx(0.05, abs=1e-6)
    turned = jackknife.ratio(-a, b)
    assert (turned["low"], turned["high"]) == pytest.approx((-found["high"], -found["low"]), abs=1e-9)
    assert jackknife.ratio(-a, -b) == pytest.approx(found)
    assert jackknife.ratio(b, b) == {"value": 1.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize("value, low, high, can", [
    (-0.006, -0.0115, -0.0004, False),  # shown, and yet what is divided by it means nothing
    (-0.10, -0.15, -0.0501, True), (-0.10, -0.15, -0.0499, False), (0.10, 0.0501, 0.15, True),
    (0.10, 0.0499, 0.15, False), (0.1, -0.1, 0.3, False), (0.0, 0.0, 0.0, False), (0.1, None, None, False)])
def test_shares_are_told_of_what_is_known_well_enough(value, low, high, can):
    assert jackknife.can_divide(value, low, high) is can


def test_no_ratio_of_a_small_denominator_is_told():
    rng = np.random.default_rng(4)
    top, nothing = without_each(rng.normal(0.03, 0.01, 25)), {"value": None, "low": None, "high": None}
    for mean, told in ((0.001, False), (0.01, False), (0.03, True)):
        bottom = without_each(mean + rng.permutation(np.linspace(-0.03, 0.03, 25)))
        shown = jackknife.difference(bottom)["low"] > 0
        assert shown == (mean > 0.005) and (jackknife.ratio(top, bottom) != nothing) == told


def test_ratios_and_differences_cover_as_promised():
    """Of 600 drawn data sets about 570 hold the truth."""
    held = np.zeros(2)
    for seed in range(600):
        rng = np.random.default_rng(seed)
        bottom = rng.normal(1.0, 0.5, 20)
        top = 0.4 * bottom + rng.normal(0, 0.3, 20)
        share = jackknife.ratio(without_each(top), without_each(bottom))
        mean = jackknife.difference(without_each(top))
        held += [share["low"] <= 0.4 <= share["high"], mean["low"] <= 0.4 <= mean["high"]]
    assert (held >= 0.93 * 600).all() and (held <= 0.97 * 600).all()


@pytest.mark.parametrize("units, lower, expected", [(12, "above", True), (12, "below", False), (9, "above", False)])
def test_not_worse_is_the_whole_interval_above_the_margin_from_ten_units_on(units, lower, expected):
    rng = np.random.default_rng(1)
    reference, loss = rng.uniform(0.6, 0.9, units), rng.normal(0.01, 0.01, units)
    a, b = without_each(reference - loss), without_each(reference)
    bound = jackknife.difference(a - b)["low"]
    margin = -bound + (1e-6 if lower == "above" else -1e-6)
    found = not_worse(a, b, margin, units)
    assert found["can_show"] and found["non_inferior"] is expected and found["lower"] == bound
    assert (found["p_value"] < 0.025) == (lower == "above")


def test_commands_and_reports_follow_one_rule():
    """tools.compare's test and the report's judge a difference by the same bound."""
    from tfod_compress.report import safe_compression
    from tfod_compress.report.findings import Difference
    from tfod_compress.report.study_folder import Comparison

    truth, found = make(seed=60, images=80, found=4)
    kept = np.random.default_rng(0).random(len(found.image)) < 0.97
    worse = Detections(found.image[kept], found.boxes[kept], found.class_ids[kept], found.scores[kept])
    both = metrics.paired_difference(truth, worse, found)
    side = {"regime": "off_the_shelf", "record_set": "a"}
    difference = Difference((Comparison(metric="weighted_map", a=side, b=side, unit="image", units=80, **both),),
                            tasks.get("detection").decisive)
    for margin in (-both["low"] - 1e-9, -both["low"] + 1e-9):
        command = metrics.compare(truth, worse, found, margin=margin)["metrics"]["weighted_map"]["not_worse"]
        assert command["non_inferior"] == (safe_compression.judge(difference, margin) == safe_compression.SAFE)
