"""TensorBoard's HPARAMS tab: one row a point, with what was evaluated. Written without TensorFlow.

    tensorboard --logdir runs/NAME/tensorboard
"""

import pathlib

from tfod_compress.records.framing import frame
from tfod_compress.study.numbers import metric
from tfod_compress.support.files import atomic_file

SHOWN = ("detector", "regime", "codec", "record_set", "quality", "target_bpp", "scale", "trained_on", "steps", "seed",
         "fold", "tuned_from", "beta", "lmbda")
METRICS = ("weighted_map", "map", "precision", "recall", "f1", "coco.AP", "coco.AP50", "coco.AP75", "bpp")


def write_hparams(workdir, rows, found):
    """Writes one TensorBoard run a point.

    Args:
      workdir: the study's folder; receives tensorboard/<model>/<record set>/events.out.tfevents.*.
      rows: the points.
      found: {evaluation: content of its metrics.json}.
    """
    for row in rows:
        values = found[row["evaluation"]]
        quality = row["quality"]
        known = {**row, "quality": "" if quality is None else str(quality)}
        hparams = {name: known[name] for name in SHOWN if known.get(name) is not None}
        numbers = {name.replace(".", "/"): metric(values, name) for name in METRICS}
        path = pathlib.Path(workdir) / "tensorboard" / row["model"] / row["record_set"] / "events.out.tfevents.0.study"
        data = _events(hparams, {name: value for name, value in numbers.items() if value is not None},
                       row["steps"], f"{row['model']}/{row['record_set']}",
                       (pathlib.Path(workdir) / row["evaluation"] / "metrics.json").stat().st_mtime)
        if not path.is_file() or path.read_bytes() != data:
            with atomic_file(path) as file:
                file.write(data)


def _events(hparams, numbers, step, name, now):
    """The bytes of an event file: a session's start with its hyperparameters, its metrics, its end."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo(group_name=name, start_time_secs=now)
    for key, value in hparams.items():
        field = "string_value" if isinstance(value, str) else "number_value"
        setattr(start.hparams[key], field, value)
    end = plugin_data_pb2.SessionEndInfo(end_time_secs=now, status=1)  # STATUS_SUCCESS
    summaries = [Summary(value=[_info(metadata, metadata.SESSION_START_INFO_TAG, session_start_info=start)])]
    summaries += [Summary(value=[Summary.Value(tag=key, simple_value=value)]) for key, value in numbers.items()]
    summaries += [Summary(value=[_info(metadata, metadata.SESSION_END_INFO_TAG, session_end_info=end)])]
    events = [Event(wall_time=now, file_version="brain.Event:2")]
    events += [Event(wall_time=now, step=0 if index in (0, len(summaries) - 1) else step, summary=summary)
               for index, summary in enumerate(summaries)]
    parts = []
    for event in events:
        data = event.SerializeToString(deterministic=True)
        header, footer = frame(data)
        parts += [header, data, footer]
    return b"".join(parts)


def _info(metadata, tag, **content):
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import plugin_data_pb2

    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    return Summary.Value(tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR)
