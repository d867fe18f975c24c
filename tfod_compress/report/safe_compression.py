"""The maximum safe compression, and the storage that it saves a fleet of cars.

*Safe* is a claim of non-inferiority: the paired difference in accuracy to the best quality lies above -margin
with its whole 95 % interval. An interval that merely contains zero shows nothing, and neither does any interval of a
detector that finds little at the best quality (`metrics.margin`). The qualities are tested from the best down and the
first that is not safe ends the test (a fixed sequence), so that trying many qualities does not make a false claim
likelier: Maurer, Hothorn and Lehmacher 1995. Where a detector was retrained for some qualities only, the sequence is
those, and is told.
"""

import dataclasses

from tfod_compress.report import differences, findings, words
from tfod_compress.report.study_folder import Estimate
from tfod_compress.report.tables import MOST, Entry, Table
from tfod_compress.statistics.jackknife import ENOUGH
from tfod_compress.statistics.margin import (
    Margin,
    MarginError,
    can_show,
    is_within,
    nothing,
    surely_reached,
    why_nothing,
)
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed

MARGIN = Margin(0.02)
"""Loss of accuracy that does not matter, unless the caller says otherwise."""
MARGIN_WITH_UNIT = Margin(0.05, relative=True)
"""Likewise, of a metric with a unit, which has relative margins alone."""

SAFE, WORSE, TOO_FEW, NOT_COMPARED = "safe", "worse", "too few frames to tell", "not compared"
NOTHING = "nothing can be concluded"
FEW_UNITS = "too few units"  # sequences, or frames

RAW_BPP = 24
"""Bits per pixel of uncompressed RGB frames, as 24-bit BMP files hold them."""
DAYS_PER_MONTH = 30


@dataclasses.dataclass(frozen=True)
class Safe:
    """The answer for one detector, codec and regime.

    Attributes:
      regime: whose accuracy is compared with the reference's at the best quality.
      margin: a Margin.
      reference: the reference's accuracy, an Estimate.
      row: the strongest safe compression, or None.
      stopped_by: the row that ended the test, or None where all were safe.
      why: SAFE where all were safe, NOTHING where the reference cannot tell, else what `stopped_by` is: WORSE, TOO_FEW,
        FEW_UNITS or NOT_COMPARED.
      only: names of the qualities that a detector was retrained for, where these are not all; else ().
      few: of FEW_UNITS, how many there are, such as "6 sequences".
    """

    regime: str
    margin: Margin
    reference: Estimate
    row: findings.Row | None = None
    stopped_by: findings.Row | None = None
    why: str = SAFE
    only: tuple[str, ...] = ()
    few: str = ""

    @property
    def loss(self):
        """The margin in units of the metric."""
        return self.margin.absolute(self.reference.value)


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
    """SAFE, WORSE, TOO_FEW, FEW_UNITS or NOT_COMPARED for a differences.Difference (or None) to the best quality."""
    if difference is None:
        return NOT_COMPARED
    low, high = difference.gain_interval
    if is_within(margin, low, difference.units):
        return SAFE
    if difference.few_units:
        return FEW_UNITS
    return WORSE if high < -margin else TOO_FEW


def maximum_safe(series, comparisons, margin=None):
    """The strongest safe compression as it is, and after retraining where that was compared with the best quality.

    Args:
      series: a findings.Series.
      comparisons: those of results.json.
      margin: loss of accuracy that does not matter: a Margin, a number above 0, or None for that of `usual`.

    Returns:
      A list of Safe, that of the reference regime first; empty where only one quality was evaluated. A reference that
      cannot tell has one answer, NOTHING, for all that is compared with it.

    Raises:
      ValueError: the margin is none.
      InputError: an absolute one, of a metric with a unit.
    """
    margin, answers = usual(series.metric, margin), []
    untrained = [regime for regime in words.REFERENCE_REGIMES if regime in series.regimes()]
    for regime in (*untrained, *words.RETRAINED_REGIMES):
        # A published detector beside one that was trained here is compared with itself.
        against = regime if regime in untrained else series.reference_regime
        found = _compared(series, comparisons, regime, against)
        reference = _reference(series, against)
        if not found or reference is None:
            continue
        answer = Safe(regime, margin, reference)
        if can_show(answer.loss, _reached(series.metric, reference)):
            answers.append(_fixed_sequence(dataclasses.replace(answer, only=_retrained_only(series, regime, against)),
                                           found))
        elif regime == against:
            answers.append(dataclasses.replace(answer, why=NOTHING))
    return answers


def headline(series, margin=None):
    """The study's answer in one sentence, or that nothing can be concluded from a detector that finds too little.

    Args:
      series: a findings.Series.
      margin: as for `maximum_safe`.
    """
    reference = _reference(series, series.reference_regime)
    compared = any(series.reference_regime in row.cells for row in series.rows[1:])
    if compared and reference and not can_show(usual(series.metric, margin).absolute(reference.value),
                                               _reached(series.metric, reference)):
        told = nothing(reference.value, reference.low, reference.high, series.task.model,
                       series.metric.higher_is_better)
        return f"{told} {series.metric.unit}".strip() + "."
    return findings.headline(series)


def _compared(series, comparisons, regime, against):
    """[(row, Difference to `against` at the best quality, or None)] from the best down; [] without any difference.

    The reference regime itself is always asked for, so that what was not compared is told.
    """
    found = [(row, differences.find_difference(comparisons, regime, row.record_set, against,
                                               series.reference.record_set, series.detector, series.metric))
             for row in series.rows[1:] if regime in row.cells]
    return found if regime == against or any(difference for _, difference in found) else []


def _retrained_only(series, regime, against):
    """Names of the qualities of a regime where these are not all that `against` was tested at; else ()."""
    offered, found = ([row.name for row in series.rows[1:] if each in row.cells] for each in (against, regime))
    return () if set(offered) <= set(found) else tuple(found)


def _reference(series, regime):
    cell = series.reference.cells.get(regime)
    return cell and cell.score


def usual(metric, margin=None):
    """A Margin, or a number, as a Margin for a metric; without one, that of reports.

    Raises:
      ValueError: the margin is none.
      InputError: an absolute one, of a metric with a unit.
    """
    if margin is None:
        return MARGIN if metric.share else MARGIN_WITH_UNIT
    try:
        return Margin.of(margin).fitting(metric.share)
    except MarginError as error:
        raise InputError(f"--margin, of {metric.title} in {metric.unit}: {error}") from None


def _reached(metric, estimate):
    return surely_reached(estimate.low, estimate.high, metric.higher_is_better, metric.share)


def _fixed_sequence(answer, found):
    safe = None
    for row, difference in found:
        verdict = judge(difference, answer.loss)
        if verdict != SAFE:
            few = difference.few_units if verdict == FEW_UNITS else ""
            return dataclasses.replace(answer, row=safe, stopped_by=row, why=verdict, few=few)
        safe = row
    return dataclasses.replace(answer, row=safe)


def told(series, safe, fleet):
    """The answer in words.

    Args:
      series: the findings.Series of `safe`.
      safe: a Safe.
      fleet: a Fleet.

    Returns:
      (the answer in one sentence, a list of further sentences).
    """
    best, metric, loss = series.reference, series.metric, f"{_short(safe.loss)} {series.metric.unit}".strip()
    who = words.regime_name(safe.regime)
    within = f"within {loss}, {safe.margin} of the" if safe.margin.relative else f"within {loss} of"
    asked = f"Maximum safe compression {who} ({within} {metric.title} of {best.name}):"
    if safe.why == NOTHING:
        return f"{asked} none can be claimed.", [
            f"{words.capital(_why_nothing(metric, safe))}: {_so_bad(series.task)} has little to lose, so that it loses "
            "no more than the margin shows nothing."]
    if safe.row is None:
        short = {WORSE: "none found", TOO_FEW: "too few frames to tell", NOT_COMPARED: "not tested",
                 FEW_UNITS: "none can be claimed"}[safe.why]
        if safe.only:
            short = f"not known, {_only(safe)}"
        already = "" if safe.only else "already "
        reason = {
            WORSE: f"{already}{safe.stopped_by.name} loses more than {loss}",
            TOO_FEW: f"at {safe.stopped_by.name} the interval reaches beyond a loss of {loss} but does not "
                     "lie beyond it; more validation frames would tell",
            FEW_UNITS: f"the intervals rest on {safe.few}, and below {ENOUGH} they may miss the truth too often",
            NOT_COMPARED: f"{safe.stopped_by.name} was not compared with {best.name}"}[safe.why]
        return f"{asked} {short}.", [f"{words.capital(reason)}."]
    row = safe.row
    sentence = (f"{asked} {row.name}, {words.percent(row.share)} of the size of {best.name}, {words.rate(row.bpp)} "
                "bits per pixel.")
    only = [f"{words.capital(_only(safe))}."] if safe.only else []
    return sentence, [*only, _next_sentence(safe), *_savings(best, row, fleet)]


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
            metric = series.metric
            cells = [Entry(series.detector), Entry(words.codec_name(series.codec)),
                     Entry(words.regime_name(safe.regime)), _up_to(safe, metric)]
            if safe.row is None:
                cells += [Entry("–")] * 3
            else:
                score = safe.row.cells[safe.regime].score
                cells += [Entry(words.percent(safe.row.share)), Entry(words.rate(safe.row.bpp)),
                          Entry(words.score(score.value, metric), words.interval(score.low, score.high, metric))]
            rows.append(tuple(cells))
    columns = (Entry(series_list[0].task.model), Entry("codec"), Entry("regime"), Entry("safe up to"),
               Entry("size", "of best quality"), Entry("rate", "bits/pixel"),
               Entry(words.title(series_list[0].metric), "there"))
    return Table(columns, tuple(rows)) if rows else None


def _up_to(safe, metric):
    """The overview's cell: how far it is safe."""
    if safe.why == NOTHING:
        reference = safe.reference
        return Entry(NOTHING, f"itself only {words.score(reference.value, metric)} "
                              f"{words.interval(reference.low, reference.high, metric)}".strip())
    if safe.row is not None:
        return Entry(safe.row.name, _only(safe) if safe.only else "")
    if safe.only:
        return Entry("not known", _only(safe))
    return Entry("none found" if safe.why == WORSE else safe.why)


def _why_nothing(metric, safe):
    return why_nothing(safe.loss, _reached(metric, safe.reference), metric.higher_is_better, metric.share)


def _so_bad(task):
    return f"a {task.model} that finds so little" if task.boxes else f"a {task.model} that is so far from right"


def _only(safe):
    return f"only {listed(safe.only, MOST)} {'was' if len(safe.only) == 1 else 'were'} retrained"


def _next_sentence(safe):
    trained = safe.regime in words.RETRAINED_REGIMES
    if safe.stopped_by is None:
        return ("Nothing was retrained for a stronger compression." if trained else
                "No stronger compression was tested.")
    name = f"next{' that was retrained' if safe.only else ''}, {safe.stopped_by.name},"
    return {WORSE: f"The {name} loses more than that.",
            TOO_FEW: f"For the {name} there are too few frames to tell.",
            FEW_UNITS: f"For the {name} the interval rests on {safe.few}, which are too few.",
            NOT_COMPARED: f"The {name} was not compared with the best quality."}[safe.why]


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


def _short(value):
    """A margin in three digits; one that was given in fewer stays as it was."""
    return f"{value:.3g}"
