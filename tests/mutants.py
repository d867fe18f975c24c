"""Small bugs that the tests must find: `tests/test_mutants.py` makes each in a copy of the package.

Each would change a conclusion, and many were let pass once. To add one, add a line to MUTANTS: what it is, the file,
the text that stands there once, the text of the bug, and quick tests of which one must fail.
"""

import typing


class Mutant(typing.NamedTuple):
    """One bug.

    Attributes:
      file: below the project's root.
      old: what stands there, exactly once.
      new: what the bug has in its place.
      tests: ids as pytest takes them, separated by spaces, of tests that need no real data.
    """

    file: str
    old: str
    new: str
    tests: str


_DUPLICATES = "tfod_compress/records/duplicates.py"
_ERRORS = "tfod_compress/tasks/detection/metrics/errors.py"
_MATCHING = "tfod_compress/codecs/rate_matching.py"
_SCORES = "tfod_compress/tasks/detection/metrics/scores.py"
_SEARCH = "tfod_compress/codecs/rate_search.py"
_SHARDING = "tfod_compress/records/sharding.py"
_SPLITS = "tfod_compress/records/splits.py"
_JACKKNIFE = "tfod_compress/statistics/jackknife.py"
_INTERVALS = "tfod_compress/statistics/intervals.py"
_COMPARISONS = "tfod_compress/study/comparisons.py"
_FINDINGS = "tfod_compress/report/differences.py"
_SAFE = "tfod_compress/report/safe_compression.py"

_MEASURED = "tests/records/test_make_tfrecords.py::test_psnr_is_measured_of_as_many_frames_as_asked_for"
_SHARES = "tests/records/test_splits.py::test_shares_are_met_and_no_split_is_empty"
_GROUPS = "tests/records/test_splits.py::test_groups_of_any_size_stay_together_near_the_share"
_ORDER = "tests/records/test_splits.py::test_the_assignment_does_not_depend_on_the_order_of_frames"
_FOLDS = "tests/records/test_splits.py::test_folds_hold_as_many_frames_as_groups_of_any_size_allow"
_UNITS = "tests/statistics/test_jackknife.py::test_units_are_sequences_where_there_are_some_and_never_more_than_that"
_BY_HAND = "tests/statistics/test_jackknife.py::test_of_a_mean_it_is_students_interval"
_NOT_WORSE = ("tests/statistics/test_jackknife.py::"
              "test_not_worse_is_the_whole_interval_above_the_margin_from_ten_units_on")
_COMPARED = "tests/study/test_study_left_out.py::test_comparisons_are_those_of_the_files_and_name_their_sides"
_SEQUENCE = "tests/report/test_report_safe.py::test_the_first_quality_that_is_not_safe_ends_the_test"
_NEAR = "tests/records/test_splits.py::test_frames_are_near_up_to_a_number_of_bits"
_FRAME_RATES = "tests/codecs/test_rate_search.py::test_every_target_of_a_frame_is_met"
_SET_RATES = "tests/codecs/test_rate_search.py::test_every_target_of_a_set_is_met"

_BY_SEED = 'hashlib.sha256(f"{seed}/{key}".encode()).digest())'

MUTANTS = {
    # Numbers of one evaluation.
    "a score at the threshold is left out of F1": Mutant(
        _SCORES, "matches.d_score >= self.score_threshold", "matches.d_score > self.score_threshold",
        "tests/tasks/detection/test_metrics.py::test_a_score_at_the_threshold_counts"),
    "a score at the threshold is left out of the confusion matrix": Mutant(
        _ERRORS, "(matches.d_score >= score_threshold)", "(matches.d_score > score_threshold)",
        "tests/tasks/detection/test_metrics_errors.py::test_a_score_at_the_threshold_counts"),
    "tide gives an object to its worst-scored claimant": Mutant(
        _ERRORS, "np.argsort(-scores[indices]", "np.argsort(scores[indices]",
        "tests/tasks/detection/test_metrics_errors.py::test_an_object_is_given_to_its_best_scored_claimant"),

    # Splits.
    "a group is the whole match": Mutant(
        _SPLITS, "return found.group(1) if pattern.groups and found.group(1) is not None else found.group(0)",
        "return found.group(0)",
        "tests/records/test_sequences.py::test_a_split_that_parts_sequences_is_refused_and_lists_that_do_are_told"),
    "groups are assigned without a seed": Mutant(
        _SPLITS, f"order = sorted(sizes, key=lambda key: {_BY_SEED}", "order = sorted(sizes)", _ORDER),
    "no group is kept for the splits to come": Mutant(
        _SPLITS, 'len(free) - (len(wanted) - place) + (rest != "train")', "len(free)", _SHARES),
    "a split may take every group": Mutant(
        _SPLITS, "if spare and have + sizes[key] / 2 <= target:", "if have + sizes[key] / 2 <= target:", _SHARES),
    "a split goes on up to its share and beyond": Mutant(
        _SPLITS, "have + sizes[key] / 2 <= target", "have < target", _GROUPS),
    "a split never goes beyond its share": Mutant(
        _SPLITS, "have + sizes[key] / 2 <= target", "have + sizes[key] <= target", _SHARES),
    "a split stays empty where every group is too large": Mutant(_SPLITS, "if not have:", "if False:", _SHARES),
    "a split takes the largest group where every one is too large": Mutant(
        _SPLITS, "side[min(free, key=", "side[max(free, key=", _GROUPS),
    "something is left for training where the shares are everything": Mutant(
        _SPLITS, "rest = wanted[-1][0]", 'rest = "train"', _SHARES),
    "folds are dealt in turn, whatever they hold": Mutant(
        _SPLITS, "fold = min(range(folds), key=lambda fold: (mine[fold], loads[fold]))", "fold = len(side) % folds",
        _FOLDS),
    "folds are dealt small groups first": Mutant(
        _SPLITS, "key=lambda key: (-sizes[key], hashlib", "key=lambda key: (sizes[key], hashlib", _FOLDS),
    "folds do not depend on the seed": Mutant(
        _SPLITS, f"key=lambda key: (-sizes[key], {_BY_SEED}", "key=lambda key: (-sizes[key], key)", _FOLDS),
    "folds count groups and not frames": Mutant(_SPLITS, "mine[fold] += sizes[key]", "mine[fold] += 1", _FOLDS),
    "near frames differ in half as many bits": Mutant(
        _DUPLICATES, "@ looks[others].T) / 2", "@ looks[others].T)", _NEAR),

    # Rate matching.
    "a frame that no quality fits gets the highest rate": Mutant(
        _MATCHING, "best = nearest_below(rates, target) or 0", "best = nearest_below(rates, target) or max(coded)",
        _FRAME_RATES),
    "a rate at the target is above it": Mutant(
        _SEARCH, "for level, rate in rates.items() if rate <= target), default=(None, None)",
        "for level, rate in rates.items() if rate < target), default=(None, None)", _FRAME_RATES),
    "the search for a rate ends with bisection": Mutant(
        _SEARCH, "while (level := self._doubtful(rates)) is not None:", "while False:", _FRAME_RATES),
    "rates never fall": Mutant(_MATCHING, "Search(levels, target, levels.share, 8 *", "Search(levels, target, 0.0, 8 *",
                               _FRAME_RATES),
    "rates never fall by bytes": Mutant(
        _MATCHING, "levels.share, 8 * levels.size / pixels", "levels.share, 0.0", _FRAME_RATES),
    "rates never fall from one way of coding to another": Mutant(
        _SEARCH, "FALL_AT_STEP = 0.5", "FALL_AT_STEP = 0.0", _FRAME_RATES),
    "rates of sets fall by no more than those of frames that differ": Mutant(
        _MATCHING, "max(levels.share / SAMPLE_FRAMES**0.5, *(2 * fall(rates, *run) for run in levels.runs))",
        "levels.share / SAMPLE_FRAMES**0.5", _SET_RATES),
    "the sample decides the rate of a set": Mutant(_MATCHING, "if len(sample) == len(frames):", "if True:", _SET_RATES),
    "where all frames end, the sample's falls are not looked at": Mutant(
        _MATCHING, "while len(rates) > seen:", "while seen < 0:", _SET_RATES),

    # Which frames' PSNR is measured.
    "all frames are measured for none, and none for all": Mutant(
        _SHARDING, 'names if measure == "all" else ()', 'names if measure != "all" else ()', _MEASURED),
    "the frames outside the sample are measured": Mutant(_SHARDING, "frozenset(order[:count])",
                                                         "frozenset(order[count:])", _MEASURED),
    "the sample is taken from the other end": Mutant(_SHARDING, "frozenset(order[:count])",
                                                     "frozenset(order[::-1][:count])", _MEASURED),

    # Intervals and verdicts.
    "the lower bound is the value itself": Mutant(
        _INTERVALS, 'lower = jackknife.difference(gain, share)["low"]',
        'lower = jackknife.difference(gain, share)["value"]', _NOT_WORSE),
    "a rise of an error counts as a gain": Mutant(
        _INTERVALS, "candidate - reference if higher_is_better else reference - candidate", "candidate - reference",
        "tests/statistics/test_margin.py::test_an_error_is_judged_as_the_accuracy_that_it_leaves"),
    "nine units are enough": Mutant(_JACKKNIFE, "ENOUGH = 10", "ENOUGH = 9", _NOT_WORSE),
    "a two-sided p-value is not doubled": Mutant(_JACKKNIFE, "min(1.0, 2 * min(p_above", "min(1.0, min(p_above",
                                                 _BY_HAND),
    "the standard error is that of one unit": Mutant(
        _JACKKNIFE, "error = math.sqrt((n - 1) / n * float(", "error = math.sqrt(1 / n * float(", _BY_HAND),
    "two sequences are taken for independent frames": Mutant(
        _JACKKNIFE, "    if groups is not None:", "    if groups is not None and len(np.unique(groups)) > 2:", _UNITS),
    "an accuracy is not widened for its bias": Mutant(
        _JACKKNIFE, "for centre in (value, corrected)]", "for centre in (value, value)]",
        "tests/statistics/test_jackknife.py::test_an_accuracy_stays_within_its_range_and_holds_its_corrected_value"),
    "a ratio is told whatever it is divided by": Mutant(
        _JACKKNIFE, "return (low if value > 0 else -high) >= SURE * abs(value) > 0", "return True",
        "tests/statistics/test_jackknife.py::test_no_ratio_of_a_small_denominator_is_told"),
    "a study's differences have their sides swapped": Mutant(
        _COMPARISONS, "jackknife.difference(a - b,", "jackknife.difference(b - a,", _COMPARED),
    "of several seeds the best decides": Mutant(
        _FINDINGS, "return min(-self._furthest if c.low is None else c.low for c in self.comparisons)",
        "return max(-self._furthest if c.low is None else c.low for c in self.comparisons)",
        "tests/report/test_report_safe.py::test_of_several_seeds_the_lowest_bound_decides"),
    "too few frames to tell count as worse": Mutant(
        _SAFE, "return WORSE if high < -margin else TOO_FEW", "return WORSE", _SEQUENCE),
    "folds are judged one by one": Mutant(
        _FINDINGS, "Difference(tuple(pooled or found), metric)", "Difference(tuple(found), metric)",
        "tests/report/test_report.py::test_folds_are_judged_by_their_frames_together"),
}
