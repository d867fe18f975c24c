"""Bjøntegaard's delta with a detector's accuracy in the place of PSNR: the mean difference at equal rate.

Bjøntegaard, VCEG-M33, 2001; accuracy is interpolated over log rate (piecewise cubic) and the difference of the two
curves is averaged over the rates that both reach. Computed by the package bjontegaard.
"""


def common_rates(curve, reference):
    """(lowest, highest) bits per pixel that both curves [(bpp, accuracy)] reach, or None where there are none."""
    rates = [[bpp for bpp, _ in points] for points in (curve, reference)]
    low, high = max(map(min, rates)), min(map(max, rates))
    return (low, high) if low < high else None


def bd_accuracy(curve, reference):
    """Mean difference curve - reference, or None where the curves have no common rates.

    Args:
      curve: [(bpp, accuracy)], any order; at least two rates.
      reference: likewise.
    """
    if common_rates(curve, reference) is None:
        return None
    import bjontegaard

    (rates, values), (reference_rates, reference_values) = (
        zip(*sorted(dict(points).items()), strict=True) for points in (curve, reference))
    return float(bjontegaard.bd_psnr(reference_rates, reference_values, rates, values, method="pchip",
                                     require_matching_points=False, min_overlap=0))
