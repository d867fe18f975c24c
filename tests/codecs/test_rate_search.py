"""The quality nearest below a rate is found, by brute force: on drawn curves, drawn frames and real ones."""

import numpy as np
import pytest
from PIL import Image

from tests import records_data
from tfod_compress import codecs
from tfod_compress.codecs import rate_matching, rate_search
from tfod_compress.codecs.base import Codec

PIXELS = 1000
STILL = [name for name in codecs.names() if name not in ("h264", "png")]
SLOW = ("jpeg2000", "jpeg2000-gray", "vvc", "vvc-gray")  # 4,001 qualities, or a process for each


class Drawn(Codec):
    """A codec of pictures of 1,000 pixels whose sizes in bytes are given; it keeps count of what it coded."""

    name, lowest, whole_numbers = "drawn", 0, True

    def __init__(self, sizes, rate_falls, rate_steps=()):
        self.sizes, self.rate_falls, self.rate_steps, self.highest = sizes, rate_falls, rate_steps, len(sizes) - 1
        self.coded = []

    def encode(self, rgb, quality):
        self.coded.append(quality)
        return bytes(self.sizes[quality])

    def decode(self, data):
        raise NotImplementedError

    def version(self):
        return "1"


def brute_force(rates, target):
    """The level of the largest rate not above the target, of several the highest; None without one."""
    return max(((rate, level) for level, rate in enumerate(rates) if rate <= target), default=(None, None))[1]


def falling(generator, share, size, steps, count=80):
    """Sizes in bytes that rise but for falls by the share and the bytes at most, and by a fifth at each step."""
    rising = 100 + np.cumsum(generator.exponential(generator.choice([2, 20, 200]), count))
    rising *= 0.8 ** np.searchsorted(steps, np.arange(count), side="right")
    falls = generator.random((2, count)) < generator.choice([0.1, 0.5])
    sizes = rising * (1 - share * falls[0] * generator.random(count)) - size * falls[1] * generator.random(count)
    return np.ceil(np.maximum(sizes, 1)).astype(int).tolist()


def targets(rates):
    """Rates at, just below and between all that there are, and outside."""
    rates = np.unique(rates)
    return [*rates, *np.nextafter(rates, 0), *(rates[1:] + rates[:-1]) / 2, 2 * rates[-1]]


@pytest.mark.parametrize("share, size, steps",
                         [(0, 0, ()), (0, 8, ()), (0.01, 4, ()), (0.1, 0, (19, 60)), (0.05, 30, (40,))])
def test_every_target_of_a_frame_is_met(share, size, steps):
    rgb, coded = np.zeros((10, 100, 3), np.uint8), []
    for seed in range(6):
        # A byte more, because sizes are rounded.
        codec = Drawn(falling(np.random.default_rng(seed), share, size, steps), (share, size and size + 1), steps)
        for target in targets([8 * size / PIXELS for size in codec.sizes]):
            codec.coded.clear()
            quality, data = rate_matching.encode_frame(codec, rgb, target)
            assert quality == (brute_force([8 * size / PIXELS for size in codec.sizes], target) or 0), (seed, target)
            assert len(data) == codec.sizes[quality] and len(set(codec.coded)) == len(codec.coded)
            coded.append(len(codec.coded))
    if not share and not size:
        assert max(coded) <= 2 * np.log2(80) + 2
    assert np.mean(coded) < 40


def test_where_nothing_is_known_every_quality_is_coded():
    codec = Drawn(np.random.default_rng(0).integers(100, 10_000, 30).tolist(), None)
    for target in targets([8 * size / PIXELS for size in codec.sizes]):
        codec.coded.clear()
        quality, _ = rate_matching.encode_frame(codec, np.zeros((10, 100, 3), np.uint8), target)
        assert quality == (brute_force([8 * size / PIXELS for size in codec.sizes], target) or 0)
        assert sorted(codec.coded) == list(range(30))


def test_targets_of_one_frame_share_what_is_coded():
    rgb, steps = np.zeros((10, 100, 3), np.uint8), (40,)
    codec = Drawn(falling(np.random.default_rng(3), 0.05, 8, steps), (0.05, 9), steps)
    wanted = [rate_matching.RateTarget(8 * codec.sizes[level] / PIXELS, per_frame=True) for level in (10, 38, 45, 70)]
    alone = [rate_matching.encode_frame(codec, rgb, target.bpp) for target in wanted]
    apart = len(codec.coded)
    codec.coded.clear()
    assert rate_matching.encode_at(codec, rgb, [*wanted, 7]) == [*alone, (7, bytes(codec.sizes[7]))]
    assert len(codec.coded) < apart


def matched(codec, curves, chosen, pixels):
    """({target: quality}, codings a frame) of `match` over frames whose sizes at each level are known, [N, levels]."""
    levels, coded = rate_search.Levels(codec), []
    level_of = {levels.quality(level): level for level in range(levels.last + 1)}

    def measure(frames, qualities, what):
        coded.append(len(frames) * len(qualities))
        return [int(curves[list(frames), level_of[quality]].sum()) for quality in qualities]

    found = rate_matching.match(codec, dict(enumerate(pixels)), chosen, measure)
    for target, (quality, proof) in found.items():
        assert proof[quality] <= target and all(rate > target for at, rate in proof.items() if at != quality)
    return {target: level_of[quality] for target, (quality, _) in found.items()}, sum(coded) / len(curves)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("share, size, steps", [(0, 8, ()), (0.08, 8, (19, 60))])
def test_every_target_of_a_set_is_met(share, size, steps, alike):
    """Also where frames are alike, so that their falls add up, and where those beyond the sample cost more."""
    for seed in range(3):
        generator = np.random.default_rng(seed)
        seeds = [seed] * 50 if alike else range(50)
        curves = np.array([falling(np.random.default_rng(one), share, size, steps) for one in seeds])
        curves = (curves - generator.integers(0, 9, curves.shape)) * generator.integers(1, 4, (50, 1))
        codec, pixels = Drawn(curves[0].tolist(), (share, 3 * size + 30), steps), np.full(50, PIXELS)
        rates = 8 * curves.sum(axis=0) / pixels.sum()
        chosen = [target for target in targets(rates) if target >= rates.min()]
        best = {target: brute_force(rates, target) for target in chosen}
        assert matched(codec, curves, chosen, pixels)[0] == best
        alone = [matched(codec, curves, [target], pixels) for target in chosen[::7]]
        assert [found for found, _ in alone] == [{target: best[target]} for target in chosen[::7]]
        assert alike or np.mean([coded for _, coded in alone]) < (14 if not share else 28)  # of 80


def curve(codec, rgb):
    """Coded bytes of a frame at each level."""
    levels = rate_search.Levels(codec)
    return [len(codec.encode_many(rgb, [levels.quality(level)])[0]) for level in range(levels.last + 1)]


def check(codec, curves, pixels, most=100):
    """Every frame and all together against brute force, at targets spread over all there are."""
    levels = rate_search.Levels(codec)
    for sizes, count in zip(curves, pixels, strict=True):
        rates = {level: 8 * size / count for level, size in enumerate(sizes)}
        for first, last in levels.runs:  # what the codec says of itself
            assert rate_search.fall(rates, first, last, 8 * levels.size / count) <= levels.share, codec.name
        assert rate_search.fall(rates, 0, levels.last, 8 * levels.size / count) <= rate_search.FALL_AT_STEP
        of_frame = targets(list(rates.values()))
        for target in of_frame[::max(1, len(of_frame) // most)]:
            known = {}
            for level in rate_search.Search(levels, target, levels.share, 8 * levels.size / count, levels.last // 2,
                                            max(1, levels.last // 4)).wanted(known):
                known[level] = rates[level]
            assert rate_search.nearest_below(known, target) == brute_force(list(rates.values()), target), target
    curves = np.array(curves)
    rates = 8 * curves.sum(axis=0) / sum(pixels)
    chosen = [target for target in targets(rates) if target >= rates[0]]
    chosen = chosen[::max(1, len(chosen) // most)]
    assert matched(codec, curves, chosen, pixels)[0] == {target: brute_force(rates, target) for target in chosen}


@pytest.mark.parametrize("name", [name for name in STILL if name not in SLOW])
def test_drawn_frames_are_nearest_below_by_brute_force(name):
    codec, rgb = codecs.get(name), records_data.scene(3, 64, 48)
    sizes = curve(codec, rgb)
    check(codec, [sizes], [64 * 48])
    for level in (len(sizes) // 3, len(sizes) // 2):
        target = 8 * sizes[level] / (64 * 48) + 1e-9
        quality, data = rate_matching.encode_frame(codec, rgb, target)
        best = brute_force([8 * size / (64 * 48) for size in sizes], target)
        assert quality == rate_search.Levels(codec).quality(best) and len(data) == sizes[best]


@pytest.mark.slow
@pytest.mark.parametrize("name", STILL)
def test_real_frames_are_nearest_below_by_brute_force(name, shared_data):
    """Every quality of every codec, up to 5,700 codings of each codec: what the codecs say of their rates holds."""
    kodak, kitti, camvid = (sorted((shared_data / folder).glob("*.png")) for folder in (
        "kodak", "kitti/image_2", "camvid/val"))
    chosen = [kodak[4], kitti[3]]
    if name.startswith("jpeg") and "2000" not in name:
        chosen = [*kodak, *kitti]
    elif name in ("webp", "jxl"):
        chosen = [*kodak[::12], *kitti[::17], *camvid[:25]]
    frames = [np.asarray(Image.open(path).convert("RGB")) for path in chosen]
    if "2000" in name:  # 4,001 qualities
        frames = [rgb[100:228, 100:228] for rgb in frames]
    codec = codecs.get(name)
    check(codec, [curve(codec, rgb) for rgb in frames], [rgb.shape[0] * rgb.shape[1] for rgb in frames])
