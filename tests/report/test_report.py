"""The report: numbers equal to the metrics, no claim beyond an interval, nothing from outside, text stays text."""

import csv
import json
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from tests import report_study
from tests.report import pages
from tests.report.pages import Page, change
from tfod_compress import report
from tfod_compress.report import findings, heat_maps, interactive, safe_compression, tables, theme, words
from tfod_compress.report.study_folder import read_study
from tfod_compress.support.errors import InputError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study's folder with its report."""
    folder = report_study.write(tmp_path_factory.mktemp("runs") / "made-up")
    report.make_report(folder)
    return folder


@pytest.fixture
def study(finished, tmp_path):
    """A copy to change."""
    return shutil.copytree(finished, tmp_path / "study")


def test_page_refers_to_nothing_outside(finished):
    # The bundled library names addresses that only maps and sharing would ask for; the page's policy allows none.
    text = (finished / "report.html").read_text(encoding="utf-8").replace(interactive.library(), "")
    assert len(text) < 3_000_000 and not re.search(r"https?://", text)
    for tag, name, value in Page(finished / "report.html").attributes:
        if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert value.startswith(("#", "data:image/")), (tag, name, value[:80])
    assert not re.search(r"@import|url\((?!['\"]?#)", text)
    assert "default-src 'none'" in text


def test_references_within_the_page_lead_somewhere(finished):
    attributes = Page(finished / "report.html").attributes
    ids = [value for _, name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids)), "an id occurs twice, so figures would borrow each other's parts"
    for _, name, value in attributes:
        wanted = re.findall(r"url\(#([^)]+)\)", value) + ([value[1:]] if name == "href" and value[:1] == "#" else [])
        assert set(wanted) <= set(ids), value


def test_table_numbers_are_those_of_metrics_json(finished):
    rows = {row[0]: row for row in Page(finished / "report.html").rows if row and row[0].startswith("JPEG ")
            and len(row) == 8}
    assert set(rows) == {f"JPEG {quality}" for quality in report_study.QUALITIES}
    with open(finished / "results.csv", newline="") as file:
        saved = {(row["regime"], row["quality"]): row for row in csv.DictReader(file)}
    results = json.loads((finished / "results.json").read_text())
    assert len(saved) == len(results["points"])
    for point in results["points"]:
        measured = json.loads((finished / point["evaluation"] / "metrics.json").read_text())
        column = 4 + list(report_study.REGIMES).index(point["regime"])
        value, low, high = (measured["weighted_map"][key] for key in ("value", "low", "high"))
        cell = rows[f"JPEG {point['quality']}"]
        assert cell[column].split() == [f"{value:.3f}", f"[{low:.3f},", f"{high:.3f}]"]
        assert cell[1] == words.rate(measured["bpp"]) and cell[2] == words.size(measured["coded_bytes"])
        row = saved[point["regime"], str(point["quality"])]
        assert float(row["weighted_map"]) == value and float(row["weighted_map.low"]) == low
        assert float(row["coco.AP"]) == measured["coco"]["AP"]["value"]
        assert int(row["coded_bytes"]) == measured["coded_bytes"] and float(row["recall"]) == measured["recall"]
        assert float(row["ap.PassengerCar"]) == measured["ap_per_class"]["PassengerCar"]


def test_share_won_back_is_its_formula(finished):
    series, = findings.series_of(read_study(finished))
    row = series.rows[-1]
    best, worst = (r.cells["off_the_shelf"].estimate("weighted_map").value for r in (series.rows[0], row))
    retrained, control = (row.cells[r].estimate("weighted_map").value for r in ("task_ft", "control_ft"))
    # Results of earlier versions have no interval of it.
    assert row.recovered.value == pytest.approx((retrained - control) / (best - worst)) and row.recovered.low is None
    assert words.percent(row.recovered.value) in findings.headline(series)
    assert row.share == pytest.approx(row.bpp / series.rows[0].bpp)


@pytest.mark.parametrize(("low", "high", "claimed"), [(0.05, 0.3, True), (-0.01, 0.3, False)])
def test_retraining_is_claimed_only_where_its_interval_excludes_zero(study, low, high, claimed):
    def widen(results):
        for comparison in results["comparisons"]:
            if comparison["b"]["regime"] == "control_ft":
                comparison.update(low=low, high=high)

    series, = findings.series_of(read_study(change(study, widen)))
    text = findings.headline(series)
    assert ("wins back" in text) == claimed and ("is not shown" in text) != claimed
    assert tables.results(series).rows[-1][-1].text == (str(series.rows[-1].recovered) if claimed else
                                                        "not shown")


def test_the_share_won_back_has_an_interval_and_none_of_a_loss_too_small_to_divide_by(study):
    entry = {"detector": report_study.DETECTOR, "regime": "task_ft", "over": "control_ft", "record_set": "jpeg-q5",
             "reference": "jpeg-q100", "seed": 0, "fold": None}
    for numbers, told in (({"value": 0.33, "low": 0.19, "high": 0.51}, True),
                          ({"value": None, "low": None, "high": None}, False)):
        def set_it(results, numbers=numbers):
            results["recoveries"] = [{**entry, **numbers}]

        series, = findings.series_of(read_study(change(study, set_it)))
        assert ("wins back 33\u00a0% [19\u00a0%, 51\u00a0%] of the loss" in findings.headline(series)) == told
        assert ("33\u00a0%" in tables.results(series).rows[-1][-1].text) == told
        assert told or "large enough to divide by" in tables.results(series).rows[-1][-1].small


def test_of_few_units_nothing_is_claimed_safe_and_of_one_there_is_no_interval(study):
    for units, low, high in ((6, -0.001, 0.001), (1, None, None)):
        def set_them(results, units=units, low=low, high=high):
            for comparison in results["comparisons"]:
                comparison.update(value=0.0, low=low, high=high, unit="sequence", units=units)

        found = read_study(change(study, set_them))
        series, = findings.series_of(found)
        answer = safe_compression.maximum_safe(series, found.results.comparisons, 0.001)[0]
        assert answer.why == safe_compression.FEW_UNITS and answer.row is None
        told = " ".join(map(str, safe_compression.told(series, answer, safe_compression.Fleet())))
        assert f"{units} sequence" in told and "below 10" in told
        report.make_report(study)


def test_folds_are_judged_by_their_frames_together(study):
    def in_folds(results):
        extra = []
        for comparison in results["comparisons"]:
            for fold, (low, high) in enumerate(((-0.3, 0.3), (-0.2, 0.4))):
                sides = {side: {**comparison[side], "fold": fold} for side in "ab"}
                extra.append({**comparison, **sides, "low": low, "high": high})
            comparison.update(low=-0.01, high=0.01)
        results["comparisons"] += extra

    found = read_study(change(study, in_folds))
    series, = findings.series_of(found)
    assert (series.rows[1].loss.low, series.rows[1].loss.high) == (-0.01, 0.01)


def test_no_loss_means_nothing_to_win_back(study):
    def widen(results):
        for comparison in results["comparisons"]:
            if comparison["b"]["regime"] == "off_the_shelf":
                comparison.update(low=-0.9, high=0.1)

    series, = findings.series_of(read_study(change(study, widen)))
    text = findings.headline(series)
    assert "a loss of accuracy is not shown" in text and "wins back" not in text
    assert series.rows[-1].recovered is None


def test_without_comparisons_nothing_is_called_tested(study):
    series, = findings.series_of(read_study(change(study, lambda results: results.update(comparisons=[]))))
    assert "wins back" not in findings.headline(series) and "no paired test" in findings.headline(series)
    assert "not tested" in " ".join(findings.answer(series))


def test_comparison_counts_either_way_round(study):
    def swap(results):
        for c in results["comparisons"]:
            c.update(a=c["b"], b=c["a"], value=-c["value"], low=-c["high"], high=-c["low"])

    before = findings.headline(findings.series_of(read_study(study))[0])
    assert findings.headline(findings.series_of(read_study(change(study, swap)))[0]) == before


def test_seeds_give_mean_and_the_widest_interval(tmp_path):
    folder = report_study.write(tmp_path / "seeds", frames=9, seeds=(0, 1), record_sets=False)
    series, = findings.series_of(read_study(folder))
    found = [entry.metrics.scores["weighted_map"] for entry in series.rows[-1].cells["task_ft"].entries]
    together = series.rows[-1].cells["task_ft"].estimate("weighted_map")
    assert len(found) == 2 and together.value == pytest.approx(sum(e.value for e in found) / 2)
    assert together.low == min(e.low for e in found) and together.high == max(e.high for e in found)
    assert "2 training seeds" in " ".join(findings.answer(series))


def test_folds_are_shown_as_one_study(tmp_path):
    """Two folds (of the same frames here): pictures of the first, objects, bytes and images of both."""
    folder = report_study.write(tmp_path / "folds", frames=9, seeds=(0, 1), qualities=(100, 5))
    for manifest in folder.glob("tfrecords/*/manifest.json"):
        shard, = manifest.parent.glob("*.tfrecord")
        content = json.loads(manifest.read_text())
        content["files"] = {f"fold{fold}-00000-of-00001.tfrecord": "" for fold in (0, 1)}
        for name in content["files"]:
            shutil.copyfile(shard, manifest.parent / name)
        shard.unlink()
        manifest.write_text(json.dumps({**content, "frames": {"fold0": 9, "fold1": 9}}))

    def folded(results):
        for point in results["points"]:
            point.update(fold=point["seed"], split=f"fold{point['seed']}", seed=0)
        for side in (c[side] for c in results["comparisons"] for side in "ab"):
            side.update(fold=side["seed"], seed=0)

    report.make_report(change(folder, folded))
    text = Page(folder / "report.html").text
    assert "18 validation frames, in 2 folds" in text and "2 runs over seeds and folds" in text
    assert "largest fall of F1" in text and "fold 1" in text
    study = read_study(folder)
    series, = findings.series_of(study)
    one = series.reference.cells["off_the_shelf"].entries[0].metrics
    assert series.reference.coded_bytes == 2 * one.coded_bytes and series.reference.bpp == pytest.approx(one.bpp)
    assert series.rows[-1].loss.comparisons[0].a.fold != series.rows[-1].loss.comparisons[1].a.fold


def test_what_is_missing_is_told_first(study):
    report.make_report(study)
    assert "not finished" not in Page(study / "report.html").text
    report.make_report(change(study, lambda results: results.update(
        complete=False, problems=["train ssd-task_ft: the loss is <not> finite at step 3"])))
    text = Page(study / "report.html").text
    assert "This study is not finished" in text and "the loss is <not> finite at step 3" in text
    assert text.index("not finished") < text.index("Results")


def test_every_figure_is_drawn_and_right_on_dark_ground(finished):
    files = sorted((finished / "figures").glob("*.svg"))
    assert [path.name.split("_")[0] for path in files] == ["accuracy", "class", "error", "rate", "size", "training"]
    text = (finished / "report.html").read_text(encoding="utf-8")
    for path in files:
        root = ET.parse(path).getroot()
        assert len(root.findall(".//{*}path")) > 5 and "var(" not in path.read_text()
        assert f'id="{path.stem}-' in text
    inline = re.findall(r'<svg [^>]*class="figure".*?</svg>', text, flags=re.S)
    assert len(inline) == len(files)
    for figure in inline:
        assert re.search(r'patch_1">\s*<path [^>]*fill: var\(--paper\)', figure), "the ground must follow the page"
        assert not any(values[2] in figure for values in theme.COLOURS.values())
        if "Heat map" not in figure:
            assert not re.search(r"#[0-9a-f]{6}\b", figure.replace("clip-path", ""))
    assert all(f"--{name}:" in text for name in theme.COLOURS)


def test_same_folder_same_bytes(study):
    before = {path: path.read_bytes() for path in study.rglob("*") if path.suffix in (".html", ".svg", ".csv", ".jpg")}
    report.make_report(study)
    assert {path: path.read_bytes() for path in before} == before


def test_without_record_sets_the_numbers_stand(study):
    shutil.rmtree(study / "tfrecords")
    report.make_report(study)
    page = Page(study / "report.html")
    assert "No pictures:" in page.text and "tfrecords/jpeg-q100" in page.text
    assert not any(name == "href" and value.startswith("data:") for _, name, value in page.attributes)


def test_only_off_the_shelf_still_makes_a_page(tmp_path):
    folder = report_study.write(tmp_path / "plain", frames=6, regimes=("off_the_shelf",))
    shutil.rmtree(folder / "models")
    text = report.make_report(folder).read_text(encoding="utf-8")
    assert "No detector was retrained" in text and 'id="training"' not in text
    assert "won back" not in report.print_table(folder)


def test_one_point_makes_a_page(tmp_path):
    folder = report_study.write(tmp_path / "one", frames=3, qualities=(100,), regimes=("off_the_shelf",))
    assert "nothing to compare yet" in Page(report.make_report(folder)).text


def test_names_stay_text(tmp_path):
    names = {1: "<b>", 2: "$x_1$", 3: '"&amp;<script>alert(1)</script>'}
    folder = report_study.write(tmp_path / "names", frames=8, qualities=(100, 5), names=names)
    change(folder, lambda r: r.update(title="<i>title</i> {{ 7 * 7 }}", commands=["</pre><img src=x>"]))
    page = Page(report.make_report(folder))
    assert not [tag for tag, *_ in page.attributes if tag in ("b", "img")]
    text = folder.joinpath("report.html").read_text(encoding="utf-8").replace(interactive.library(), "")
    assert text.count("<script>") == 2 and "<i>" not in text and "<img" not in text
    for name in (*names.values(), "<i>title</i> {{ 7 * 7 }}", "</pre><img src=x>"):
        assert name in page.text
    assert "[b]" in report.print_table(change(folder, lambda r: [p.update(detector="[b]x") for p in r["points"]]))


def test_table_for_the_terminal(finished):
    lines = report.print_table(finished).splitlines()
    assert lines[-1] == f"report: {finished / 'report.html'}"
    row = next(line for line in lines if line.strip().startswith("JPEG 5 ")).split()
    series, = findings.series_of(read_study(finished))
    expected = [words.score(series.rows[-1].cells[r].estimate("weighted_map").value) for r in report_study.REGIMES]
    assert [value for value in row if value in expected] == expected
    assert "…" not in "".join(lines)


def test_command_writes_page_csv_and_figures(study, run_tool):
    for name in ("report.html", "results.csv"):
        (study / name).unlink()
    shutil.rmtree(study / "figures")
    done = run_tool("make_report", study)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"report: {study / 'report.html'}")
    assert (study / "results.csv").is_file() and len(list((study / "figures").glob("*.svg"))) == 6


@pytest.mark.parametrize(("damage", "told"), [
    (lambda folder: (folder / "results.json").unlink(), "results.json: missing"),
    (lambda folder: (folder / "results.json").write_text('{"study": "x", "poin'), "not JSON"),
    (lambda folder: (folder / "results.json").write_text('{"study": "x", "points": []}'), "points"),
    (lambda folder: change(folder, lambda r: r["points"][0].pop("regime")), "points.0.regime"),
    (lambda folder: change(folder, lambda r: r["points"][0].update(evaluation="../../etc")), "outside"),
    (lambda folder: next(folder.glob("evaluations/*/*/metrics.json")).write_text("{}"), "weighted_map"),
    (lambda folder: next(folder.glob("evaluations/*/*/metrics.json")).unlink(), "metrics.json: missing"),
    (lambda folder: shutil.rmtree(folder), "no such study folder"),
])
def test_damage_is_one_line(study, damage, told):
    damage(study)
    with pytest.raises(InputError) as error:
        report.make_report(study)
    assert told in str(error.value) and str(study) in str(error.value) and "\n" not in str(error.value)


def test_command_on_a_damaged_study_exits_with_1(study, run_tool):
    (study / "results.json").write_text("{")
    before = (study / "report.html").read_bytes()
    done = run_tool("make_report", study)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "results.json" in done.stderr
    assert (study / "report.html").read_bytes() == before


def test_half_a_last_line_of_training_scalars_is_no_damage(study):
    path = next(study.glob("models/*/metrics.jsonl"))
    whole = path.read_text()
    path.write_text(whole + '{"step": 510, "Loss/tot')
    assert len(read_study(study).training_scalars()[path.parent.name]) == whole.count("\n")
    path.write_text('{"step": 1, "Lo\n' + whole)
    with pytest.raises(InputError, match=r"metrics\.jsonl:1"):
        read_study(study).training_scalars()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_draws_the_page(finished, tmp_path, scheme):
    """No console message, the background of the scheme, and every figure and picture with an extent."""
    seen = pages.probe(finished / "report.html", """
      const drawn = e => e.getBoundingClientRect().width > 99 && e.getBBox().height > 50;
      return {
        bad: all('figure:not(#figure-rate_accuracy) > svg, svg.view').filter(e => !drawn(e)).map(e => e.ariaLabel),
        curves: all('#chart .scatterlayer .trace').length, switches: all('#shown input').length,
        paper: getComputedStyle(document.body).backgroundColor,
        loaded: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))}""",
                       tmp_path, scheme)
    dark = tuple(int(theme.COLOURS["paper"][scheme == "dark"][i:i + 2], 16) for i in (1, 3, 5))
    regimes = len(report_study.REGIMES)
    assert seen == {"bad": [], "curves": regimes, "switches": regimes, "paper": f"rgb{dark}", "loaded": []}


def test_error_costs_on_the_page_are_those_of_metrics_json(finished):
    drawing = (finished / "figures" / f"error_cost_{report_study.DETECTOR.replace('_', '-')}_jpeg.svg").read_text()
    texts = ["".join(element.itertext()).strip() for element in ET.fromstring(drawing).iter()
             if element.tag.endswith("text")]
    results = json.loads((finished / "results.json").read_text())
    measured = {(point["regime"], point["quality"]): json.loads(
        (finished / point["evaluation"] / "metrics.json").read_text())["errors"]["cost"] for point in results["points"]}
    assert len(measured) == 7 and any(cost["missed"] > 0.05 for cost in measured.values())
    for cost in measured.values():
        for value in cost.values():
            assert f"{value:.2f}" in texts
    kind, best, worst = heat_maps.most_costly_change(findings.series_of(read_study(finished))[0])
    assert kind == "missed"
    assert (best, worst) == tuple(measured["off_the_shelf", quality]["missed"] for quality in (100, 5))
    assert f"from {words.score(best)} to {words.score(worst)} AP50" in Page(finished / "report.html").text


def test_metrics_without_an_error_split_still_make_a_report(study):
    for path in study.glob("evaluations/*/*/metrics.json"):
        measured = json.loads(path.read_text())
        for name in ("errors", "by_size_quantile"):
            del measured[name]
        path.write_text(json.dumps(measured))
    report.make_report(study)
    text = (study / "report.html").read_text(encoding="utf-8")
    assert "Why it gets worse" not in text and "Which classes" in text
