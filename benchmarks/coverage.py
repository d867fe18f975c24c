"""How often the 95 % intervals hold the truth, by simulation.

A large population of sequences of frames is drawn, with two detectors on it, the second hurt as by compression: how
hard a sequence is, how cluttered, and how much it is hurt, is its own, and an object looks much alike in all frames of
its sequence. The metrics of the whole population are the truth. Samples of a few sequences are then drawn from it, and
the intervals computed from each. mAP and COCO AP are of the classes that a sample holds. False safe: the lower end of
the paired interval lies above the true difference, so that a loss just beyond the margin is called safe.

Example (about 15 minutes on two cores; --trials 200 gives an impression in one or two):
  python -m benchmarks.coverage
"""

import types

import numpy as np
from absl import flags

from tools import command

_TRIALS = flags.DEFINE_integer("trials", 2000, "Samples of each size.", lower_bound=10)
_SIZES = flags.DEFINE_list("units", ["5", "10", "20", "50"], "Sequences of a sample.")
_FRAMES = flags.DEFINE_integer("frames", 10, "Frames of a sequence.", lower_bound=1)
_KINDS = flags.DEFINE_list("kinds", ["even", "rare"], "even: four classes alike; rare: seven, the rarest a fiftieth.")

KINDS = {"even": np.full(4, 0.25), "rare": np.array([0.40, 0.25, 0.16, 0.09, 0.05, 0.03, 0.02])}
POPULATION = 3000  # sequences


def main():
    print("| classes | units | metric | first detector | second | difference | false safe |\n" + "|---" * 7 + "|")
    for kind in _KINDS.value:
        for (units, metric), row in simulate(kind, list(map(int, _SIZES.value)), _TRIALS.value, _FRAMES.value):
            print(f"| {kind} | {units} | {metric} | " + " | ".join(f"{share:.3f}" for share in row) + " |", flush=True)


def simulate(kind, sizes, trials, frames=10, seed=0):
    """Yields ((units, metric), (share held of detector 0, of 1, of the difference, share of false safe))."""
    from tfod_compress.statistics import jackknife
    from tfod_compress.statistics.intervals import left_out
    from tfod_compress.tasks.detection.metrics import METRICS, Matches
    from tfod_compress.tasks.detection.metrics.scores import Scorer

    truth, found = population(POPULATION, frames, KINDS[kind], seed)
    matches = [Matches(truth, each) for each in found]
    rows, everything = [_Rows(each, frames) for each in matches], np.ones((1, len(truth.image_ids)))
    scorers = [Scorer(each, 0.5) for each in matches]
    whole = {metric: [float(getattr(scorer, metric)(everything)[0]) for scorer in scorers] for metric in METRICS}
    of_class = {"map": [scorer.voc_per_class(everything)[0] for scorer in scorers],
                "coco_ap": [scorer.coco_table(everything)[0].mean(axis=1) for scorer in scorers]}
    del scorers
    for size in sizes:
        rng, held = np.random.default_rng([seed, size]), {metric: np.zeros(4) for metric in METRICS}
        units = jackknife.units(size, None)
        for _ in range(trials):
            chosen = rng.choice(POPULATION, size, replace=False)
            samples = [Scorer(each.sample(chosen), 0.5) for each in rows]
            present = samples[0].voc_objects.sum(axis=1) > 0
            values = [left_out(scorer, METRICS, units) for scorer in samples]
            for metric in METRICS:
                target = [each[present].mean() for each in of_class[metric]] if metric in of_class else whole[metric]
                for side in (0, 1):
                    bounds = jackknife.accuracy(values[side][metric])
                    held[metric][side] += bounds["low"] <= target[side] <= bounds["high"]
                bounds = jackknife.difference(values[1][metric] - values[0][metric])
                difference = target[1] - target[0]
                held[metric][2:] += bounds["low"] <= difference <= bounds["high"], bounds["low"] > difference
        for metric in METRICS:
            yield (size, metric), tuple(held[metric] / trials)


class _Rows:
    """The matches of a population, to take sequences from: a sequence becomes one image, as nothing is drawn within."""

    def __init__(self, matches, frames):
        self._matches, count = matches, matches.images // frames
        self._d_unit, self._g_unit = matches.d_image // frames, matches.g_image // frames
        self._of_unit = [(order, np.searchsorted(unit[order], np.arange(count + 1))) for unit in (
            self._d_unit, self._g_unit) for order in (np.argsort(unit, kind="stable"),)]
        self._hits, self._ignored = (np.ascontiguousarray(each.T) for each in (
            matches.coco.true_positive, matches.coco.ignored))

    def sample(self, chosen):
        """Matches of some sequences alone, as far as a Scorer reads them."""
        matches, places = self._matches, []
        for order, edges in self._of_unit:
            parts = [order[edges[unit]:edges[unit + 1]] for unit in chosen]
            places.append((np.concatenate(parts), np.repeat(np.arange(len(chosen)), [len(part) for part in parts])))
        (d, d_unit), (g, g_unit) = places
        by_class = np.lexsort((d, matches.d_class[d]))
        d, d_unit = d[by_class], d_unit[by_class]
        return types.SimpleNamespace(
            images=len(chosen), classes=matches.classes, d_image=d_unit, d_class=matches.d_class[d],
            d_score=matches.d_score[d], g_image=g_unit, g_class=matches.g_class[g],
            g_difficult=matches.g_difficult[g],
            voc=types.SimpleNamespace(true_positive=matches.voc.true_positive[d], ignored=matches.voc.ignored[d]),
            coco=types.SimpleNamespace(true_positive=self._hits[d].T, ignored=self._ignored[d].T,
                                       counted=matches.coco.counted[g]))


def population(sequences, frames, frequencies, seed=0):
    """(GroundTruth, [Detections of the first detector, of the second]): boxes that need no picture."""
    from tfod_compress.tasks.detection.metrics import Detections, GroundTruth

    rng, classes = np.random.default_rng(seed), len(frequencies)
    count = 1 + rng.poisson(3.0, sequences)  # objects that a sequence shows
    sequence = np.repeat(np.arange(sequences), count)
    slot = np.arange(len(sequence)) - np.repeat(np.cumsum(count) - count, count)
    scene = rng.choice(classes, sequences, p=frequencies)  # a scene prefers a class
    kind = np.where(rng.random(len(sequence)) < 0.4, scene[sequence], rng.choice(classes, len(sequence), p=frequencies))
    ease, clutter, hurt = rng.normal(0, 0.8, sequences), rng.normal(0, 0.6, sequences), rng.normal(0, 0.6, sequences)
    of_object, hurt_object = rng.normal(0, 1.0, len(sequence)), rng.normal(0, 0.5, len(sequence))
    track, frame = np.repeat(np.arange(len(sequence)), frames), np.tile(np.arange(frames), len(sequence))
    seen = rng.random(len(track)) < 0.9
    track, frame = track[seen], frame[seen]
    image = sequence[track] * frames + frame
    order = np.argsort(image, kind="stable")
    track, image = track[order], image[order]
    box = np.stack([200.0 * slot[track], np.zeros(len(track)), *np.full((2, len(track)), 100.0)], axis=1)
    truth = GroundTruth(
        image_ids=tuple(f"{number:07d}" for number in range(sequences * frames)),
        sizes=np.tile([1000, 4000], (sequences * frames, 1)), class_names={k + 1: f"c{k + 1}" for k in range(classes)},
        image=image, boxes=box, class_ids=kind[track] + 1, difficult=np.zeros(len(track), bool),
        is_crowd=np.zeros(len(track), bool), areas=np.full(len(track), 1e4),
        groups=np.repeat(np.arange(sequences), frames))
    false_count = rng.poisson(2.0 * np.exp(clutter))
    false_sequence = np.repeat(np.arange(sequences), false_count)
    false_slot = np.arange(len(false_sequence)) - np.repeat(np.cumsum(false_count) - false_count, false_count)
    false_kind = rng.choice(classes, len(false_sequence), p=0.5 * frequencies + 0.5 / classes)
    false_latent = rng.normal(-1.0, 1.0, len(false_sequence))
    false_track = np.repeat(np.arange(len(false_sequence)), frames)
    false_frame = np.tile(np.arange(frames), len(false_sequence))
    seen = rng.random(len(false_track)) < 0.6
    false_track, false_frame = false_track[seen], false_frame[seen]
    noise, shift_noise = rng.normal(0, 0.5, len(track)), rng.normal(0, 0.6, len(track))
    false_noise, effect = rng.normal(0, 0.5, len(false_track)), np.linspace(0.6, -0.6, classes)
    taken_for = np.where(rng.random(len(sequence)) < 0.08, rng.choice(classes, len(sequence)), kind)
    made = []
    for number in range(2):
        damage = 0.35 * number * (1 + hurt[sequence[track]] + hurt_object[track])
        latent = (0.8 + ease[sequence[track]] + of_object[track] + effect[kind[track]] + noise
                  + rng.normal(0, 0.3, len(track)) - damage)
        overlap = _logistic(1.0 + 0.5 * (latent - 0.8) + shift_noise + rng.normal(0, 0.2, len(track)))
        moved = box.copy()
        moved[:, 0] += 100 * (1 - overlap) / (1 + overlap)
        false = (false_latent[false_track] + false_noise + rng.normal(0, 0.3, len(false_track))
                 + 0.3 * number * hurt[false_sequence[false_track]])
        false_box = np.stack([200.0 * false_slot[false_track], np.full(len(false_track), 500.0),
                              *np.full((2, len(false_track)), 100.0)], axis=1)
        found, found_false = latent > -0.6, false > -2.0
        made.append(Detections(
            np.concatenate([image[found], (false_sequence[false_track] * frames + false_frame)[found_false]]),
            np.concatenate([moved[found], false_box[found_false]]),
            np.concatenate([taken_for[track][found], false_kind[false_track][found_false]]) + 1,
            np.concatenate([_logistic(latent[found]), _logistic(false[found_false])])))
    return truth, made


def _logistic(values):
    return 1 / (1 + np.exp(-values))


if __name__ == "__main__":
    command.run(main)
