"""Put the report together: one HTML page that needs nothing else, and the files beside it."""

import functools
import json
import pathlib
import shutil

import jinja2
import matplotlib
import numpy as np

from tfod_compress import __version__
from tfod_compress.report import (
    about_frames,
    comparing,
    confusions,
    contact_sheet,
    detector_classes,
    figures,
    findings,
    gallery,
    heat_maps,
    interactive,
    published,
    published_accuracy,
    safe_compression,
    tables,
    theme,
    words,
)
from tfod_compress.report.study_folder import read_study, sha256
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.tasks import Task

QUESTION = ("How far can labelled camera frames be compressed before {} suffers, and how much of the loss does "
            "retraining win back?")


def make_report(study_dir, *, margin=None, fleet=None):
    """Writes report.html, results.csv and figures/*.svg into a study's folder.

    The same folder gives the same bytes.

    Args:
      study_dir: a study's folder with results.json, evaluations/ and, for pictures, tfrecords/.
      margin: loss of accuracy that does not matter, a Margin or a number above 0; what "safe" means on the page. By
        default that of `safe_compression.usual`.
      fleet: a Fleet whose storage is told, or None for that of the LMU study.

    Returns:
      The path of report.html.

    Raises:
      InputError: results.json, a metrics.json or a metrics.jsonl is missing or damaged.
    """
    study = read_study(study_dir)
    series_list = findings.series_of(study)
    pictures, no_pictures = {}, {}
    for series in series_list if _has_views(study.task) else ():
        # The numbers stand without the pictures: record sets are large and may have been removed.
        try:
            pictures[series.name] = gallery.make_gallery(study, series, gallery.ground_truth(study, series))
        except InputError as error:
            no_pictures[series.name] = str(error)
    drawn = _drawings(study, series_list)
    safe = [safe_compression.maximum_safe(series, study.results.comparisons, margin) for series in series_list]
    page = _template().render(
        study=study.results, task=study.task, metric=study.task.decisive,
        question=QUESTION.format("an object detector" if study.task.boxes else f"a {study.task.model}"),
        with_pictures=_has_views(study.task), confusions=[confusions.grown(series) for series in series_list],
        series_list=series_list, findings=findings, words=words,
        safe=[[safe_compression.told(series, answer, fleet or safe_compression.Fleet()) for answer in answers]
              for series, answers in zip(series_list, safe, strict=True)],
        overview=safe_compression.overview(series_list, safe),
        margin=safe_compression.usual(study.task.decisive, margin),
        headlines=[safe_compression.headline(series, margin) for series in series_list],
        lmu=_lmu_sentence() if drawn["kept"] else "",
        curves=interactive.as_json(interactive.rate_accuracy(series_list)), plotly=interactive.library(),
        tables=tables, drawn=drawn, heat_maps=heat_maps, pictures=pictures, no_pictures=no_pictures, gallery=gallery,
        codecs=comparing.codecs_of(series_list), tuned=comparing.regimes_of(study),
        grey=comparing.grey_of(series_list), times=comparing.times_of(study),
        comparisons=tables.comparisons(study), classes=tables.class_names(study), regimes=_regimes(series_list),
        provenance=_provenance(study), class_notes=detector_classes.notes(study),
        published_notes=published_accuracy.sentences(study),
        kept_of_coco="AP" if published_accuracy.has_coco_classes(study) else "AP50",
        frames=[*about_frames.sources(study), *about_frames.warnings(study)],
        css_light=theme.css_variables(dark=False), css_dark=theme.css_variables(dark=True))
    _write_figures(study.path / "figures", [part for group in drawn.values() for parts in group for part in parts],
                   {series.slug: pictures.get(series.name, ()) for series in series_list})
    with atomic_file(study.path / "results.csv", "w") as file:
        tables.write_csv(file, study, series_list)
    report = pathlib.Path(study_dir) / "report.html"
    with atomic_file(report, "w") as file:
        file.write(page)
    return report


def _has_views(task):
    return type(task).viewer is not Task.viewer


def _drawings(study, series_list):
    """{section: [parts of one figure: [Drawing]]}; a section that has nothing to draw is empty."""
    with_boxes = series_list if study.task.boxes else ()
    per_class = [heat_maps.per_class(s, tables.class_names(study)) for s in series_list]
    per_size = [heat_maps.size_ap(s) for s in with_boxes]
    errors = [heat_maps.error_cost(s) for s in with_boxes]
    regime_of_model = {(e.point.model or pathlib.PurePosixPath(e.point.evaluation).parent.name): e.point.regime
                       for e in study.evaluated}
    loss = figures.training_loss(study.training_scalars(), regime_of_model)
    # What is published of JPEG is of detectors, and of accuracies: of an error no share is kept.
    comparable = study.task.boxes and study.task.decisive.higher_is_better
    kept = _kept(study, series_list) if comparable else None
    whole = {"rate": figures.rate_accuracy(series_list), "kept": kept, "training": loss,
             "normalised": comparing.normalised(series_list)}
    drawn = {section: [[drawing]] if drawing else [] for section, drawing in whole.items()}
    return drawn | {section: [parts for parts in each if parts] for section, each in (
        ("classes", per_class), ("sizes", per_size), ("errors", errors))}


def _kept(study, series_list):
    """Of COCO's own classes by COCO AP, as its published curves have it; else by the metric that decides."""
    if not published_accuracy.has_coco_classes(study):
        return figures.accuracy_kept(series_list, published.jpeg_curves())
    return figures.accuracy_kept(series_list, published.jpeg_curves("AP"), study.task.metric(published_accuracy.METRIC))


def _lmu_sentence():
    """The LMU study printed single cells and no curve, so its numbers cannot be drawn as one."""
    found = {}
    for row in published.load("lmu_detection").rows:
        if row["detector"] == "ssd_inception_v2" and row["quality"]:
            found.setdefault(row["codec"], []).append(f"{float(row['weighted_map']):.3f} at {row['quality']}")
    cells = "; ".join(f"{words.codec_name(codec)} {', '.join(values)}" for codec, values in found.items())
    return f"Davletshina and Singla 2020 (LMU) printed weighted mAP of SSD Inception v2, 600x600, retrained: {cells}."


def _regimes(series_list):
    present = list(dict.fromkeys(regime for series in series_list for regime in series.regimes()))
    named = (words.REGIMES.get(regime, (regime, "")) for regime in present)
    return [(name, meaning.format(model=series_list[0].task.model)) for name, meaning in named]


def _intervals(study):
    """How the intervals of metrics.json were made, in a sentence; "" where nothing says it."""
    more = study.evaluated[0].metrics.model_extra or {}
    if "intervals" in more:
        made, over = more["intervals"], ""
        if study.results.pooled:
            made, over = study.results.pooled[0].model_dump(), " of all folds"
        return (f"Intervals: by leaving out each of {made['units']} {made['unit']}s{over} in turn (jackknife, "
                "Student's t).")
    if "bootstrap" in more:  # of earlier versions
        return (f"Intervals: {more['bootstrap']['resamples']} bootstrap resamples of {more['bootstrap']['units']} "
                f"{more['bootstrap']['unit']}s (seed {more['bootstrap']['seed']}).")
    return ""


def _provenance(study):
    """What "how it was made" tells: strings only."""
    manifests = study.manifests()
    record_sets = [{
        "name": name,
        "codec": " ".join(str(manifest.get(key) or "") for key in ("codec", "codec_version")).strip(),
        "frames": ", ".join(f"{count} {split}" for split, count in (manifest.get("frames") or {}).items()),
        "psnr": "–" if manifest.get("psnr_db") is None else f"{manifest['psnr_db']:.1f}",
        "sha256": digest[:16],
    } for name, (manifest, digest) in manifests.items()]
    evaluations = []
    for entry in study.evaluated:
        detections = entry.folder / study.task.predictions_file
        evaluations.append({"name": entry.point.evaluation, "images": entry.metrics.images,
                            "sha256": sha256(detections)[:16] if detections.is_file() else "missing"})
    return {
        "record_sets": record_sets, "evaluations": evaluations, "intervals": _intervals(study),
        "seeds": ", ".join(str(seed) for seed in sorted({e.point.seed for e in study.evaluated})),
        "versions": f"results by tfod_compress {study.results.version or 'unknown'}, report by {__version__} with "
                    f"matplotlib {matplotlib.__version__} and numpy {np.__version__}",
        "regime_training": json.dumps(study.results.regime_training, indent=1, sort_keys=True, ensure_ascii=False),
        "study_file": study.study_file(),
        "total_time": words.duration(sum(t.seconds for t in study.results.timings)),
    }


@functools.cache
def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("report.html.j2")


def _write_figures(folder, drawings, pictures):
    """figures/ holds exactly the report's figures and pictures: those of an earlier report with other detectors go."""
    shutil.rmtree(folder, ignore_errors=True)
    for drawing in drawings:
        with atomic_file(folder / f"{drawing.name}.svg", "w") as file:
            file.write(drawing.file_text())
    for slug, frames in pictures.items():
        for number, frame in enumerate(frames, start=1):
            with atomic_file(folder / f"pictures_{slug}_{number}.jpg") as file:
                file.write(contact_sheet.draw(frame))
