"""The maximum safe compression, and the storage that it saves a fleet of cars.

*Safe* is a claim of non-inferiority: the paired difference in weighted mAP to the best quality lies above -margin
with its whole 95 % interval. An interval that merely contains zero shows nothing. The qualities are tested from the
best down and the first that is not safe ends the test (a fixed sequence), so that trying many qualities does not
make a false claim likelier: Maurer, Hothorn and Lehmacher 1995.
"""

import dataclasses

from tfod_compress.report import findings, words
from tfod_compress.report.tables import Entry, Table

MARGIN = 0.02
"""Loss of weighted mAP that does not matter, unless the caller says otherwise."""

SAFE, WORSE, TOO_FEW, NOT_COMPARED = "safe", "worse", "too few frames to tell", "not compared"

RAW_BPP = 24
"""Bits per pixel of uncompressed RGB frames, as 24-bit BMP files hold them."""
DAYS_PER_MONTH = 30


@dataclasses.dataclass(frozen=True)
class Safe:
    """The answer for one detector, codec and regime.

    Attributes:
      regime: whose weighted mAP is compared with the off-the-shelf detector's at the best quality.
      margin: in weighted mAP.
      row: the strongest safe compression, or None.
      stopped_by: the row that ended the test, or None where all were safe.
      why: SAFE where all were safe, else what `stopped_by` is: WORSE, TOO_FEW or NOT_COMPARED.
    """

    regime: str
    margin: float
    row: findings.Row | None
    stopped_by: findings.Row | None
    why: str


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Cars that record uncompressed frames all day; the defaults are those of the LMU study.

    Attributes:
      cars: how many.
      hours_per_day: of recording.
      gb_per_minute: uncompressed, of one car, 10^9 bytes.
      price_per_tb_month: of keeping 10^12 bytes for a month in any currency, or None to leave money out.
    """

    cars: float = 10
    hours_per_day: float = 8
    gb_per_minute: float = 9
    price_per_tb_month: float | None = None

    def tb_per_day(self, bpp=RAW_BPP):
        """10^12 bytes that the fleet stores in a day at a rate in bits per pixel."""
        return self.cars * self.hours_per_day * 60 * self.gb_per_minute / 1000 * bpp / RAW_BPP

    def price_of_a_month(self, bpp=RAW_BPP):
        """Price of keeping a month's recordings for a month, or None where no price is given."""
        if self.price_per_tb_month is None:
            return None
        return self.tb_per_day(bpp) * DAYS_PER_MONTH * self.price_per_tb_month


def judge(difference, margin):
    """SAFE, WORSE, TOO_FEW or NOT_COMPARED for a findings.Difference (or None) to the best quality."""
    if difference is None:
        return NOT_COMPARED
    if difference.low > -margin:
        return SAFE
    return WORSE if difference.high < -margin else TOO_FEW


def maximum_safe(series, comparisons, margin=MARGIN):
    """The strongest safe compression off the shelf, and after retraining where that was compared with the best quality.

    Args:
      series: a findings.Series.
      comparisons: those of results.json.
      margin: loss of weighted mAP that does not matter, above 0.

    Returns:
      A list of Safe, off the shelf first; empty where only one quality was evaluated.

    Raises:
      ValueError: the margin is not positive.
    """
    if not margin > 0:
        raise ValueError(f"margin {margin} must be above 0")
    answers = []
    for regime in ("off_the_shelf", *words.RETRAINED_REGIMES):
        rows = [row for row in series.rows[1:] if regime in row.cells]
        found = [(row, findings.find_difference(comparisons, regime, row.record_set, "off_the_shelf",
                                                series.reference.record_set, series.detector)) for row in rows]
        if regime != "off_the_shelf":
            found = [(row, difference) for row, difference in found if difference is not None]
        if found:
            answers.append(_fixed_sequence(regime, found, margin))
    return answers


def _fixed_sequence(regime, found, margin):
    safe = None
    for row, difference in found:
        verdict = judge(difference, margin)
        if verdict != SAFE:
            return Safe(regime, margin, safe, row, verdict)
        safe = row
    return Safe(regime, margin, safe, None, SAFE)


def told(series, safe, fleet):
    """The answer in words.

    Args:
      series: the findings.Series of `safe`.
      safe: a Safe.
      fleet: a Fleet.

    Returns:
      (the answer in one sentence, a list of further sentences).
    """
    who = words.regime_name(safe.regime)
    within = f"within {safe.margin:g} of weighted mAP"
    best = series.reference
    if safe.row is None:
        short = {WORSE: "none found", TOO_FEW: "too few frames to tell", NOT_COMPARED: "not tested"}[safe.why]
        reason = {
            WORSE: f"already {safe.stopped_by.name} loses more than {safe.margin:g}",
            TOO_FEW: f"at {safe.stopped_by.name} the interval reaches beyond a loss of {safe.margin:g} but does not "
                     "lie beyond it; more validation frames would tell",
            NOT_COMPARED: f"{safe.stopped_by.name} was not compared with {best.name}"}[safe.why]
        return f"Maximum safe compression {who} ({within} of {best.name}): {short}.", [f"{_capital(reason)}."]
    row = safe.row
    sentence = (f"Maximum safe compression {who} ({within} of {best.name}): {row.name}, {words.percent(row.share)} of "
                f"the size of {best.name}, {words.rate(row.bpp)} bits per pixel.")
    return sentence, [_next_sentence(safe), *_savings(best, row, fleet)]


def overview(series_list, answers):
    """One row a detector, codec and regime: the strongest safe compression, what it stores and what it scores.

    Args:
      series_list: list of findings.Series.
      answers: for each of them what `maximum_safe` gave.

    Returns:
      A tables.Table, or None where there is but one series, whose answer needs no table.
    """
    if len(series_list) < 2:
        return None
    rows = []
    for series, found in zip(series_list, answers, strict=True):
        for safe in found:
            cells = [series.detector, words.codec_name(series.codec), words.regime_name(safe.regime)]
            if safe.row is None:
                cells += ["none found" if safe.why == WORSE else safe.why, "–", "–"]
                score = Entry("–")
            else:
                found_score = safe.row.cells[safe.regime].estimate("weighted_map")
                cells += [safe.row.name, words.percent(safe.row.share), words.rate(safe.row.bpp)]
                score = Entry(words.score(found_score.value), words.interval(found_score.low, found_score.high))
            rows.append((*map(Entry, cells), score))
    columns = (Entry("detector"), Entry("codec"), Entry("regime"), Entry("safe up to"),
               Entry("size", "of best quality"), Entry("rate", "bits/pixel"), Entry("weighted mAP", "there"))
    return Table(columns, tuple(rows)) if rows else None


def _next_sentence(safe):
    if safe.stopped_by is None:
        return "No stronger compression was tested."
    name = safe.stopped_by.name
    return {WORSE: f"The next, {name}, loses more than that.",
            TOO_FEW: f"For the next, {name}, there are too few frames to tell.",
            NOT_COMPARED: f"The next, {name}, was not compared with the best quality."}[safe.why]


def _savings(best, row, fleet):
    raw, before, after = fleet.tb_per_day(), fleet.tb_per_day(best.bpp), fleet.tb_per_day(row.bpp)
    told = [f"{fleet.cars:g} cars that record {fleet.hours_per_day:g} hours a day at {fleet.gb_per_minute:g} GB a "
            f"minute each, uncompressed ({_tb(raw)} a day at {RAW_BPP} bits per pixel), would store {_tb(before)} a "
            f"day at {best.name} and {_tb(after)} at {row.name}: {_tb(before - after)} a day less."]
    if fleet.price_per_tb_month is not None:
        saved = fleet.price_of_a_month(best.bpp) - fleet.price_of_a_month(row.bpp)
        told.append(f"At {fleet.price_per_tb_month:g} per TB and month, keeping a month's recordings for a month costs "
                    f"{saved:,.0f} less.")
    return told


def _tb(value):
    return words.size(value * 1e12)


def _capital(text):
    return text[0].upper() + text[1:]
