"""The intervals hold the truth as often as they promise (`benchmarks.coverage`)."""

import numpy as np
import pytest

from benchmarks.coverage import simulate

TRIALS, BAR = 500, 0.93


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["even", "rare"])
def test_intervals_cover_from_ten_sequences_on(kind):
    chance = 2 * np.sqrt(BAR * (1 - BAR) / TRIALS)
    for (units, metric), shares in simulate(kind, [10, 20], TRIALS, seed=1):
        assert min(shares[:3]) >= BAR - chance, (units, metric, shares)
        assert max(shares[:3]) <= 0.995, (units, metric, shares)  # no interval of everything
        assert shares[3] <= 0.05 + chance, (units, metric, shares)
