"""TensorBoard's HPARAMS tab: one row a point, with what was evaluated. Written without TensorFlow.

    tensorboard --logdir runs/NAME/tensorboard
"""

import pathlib

from tfod_compress.records.framing import frame
from tfod_compress.support.files import atomic_file
from tfod_compress.tasks import Metric

SHOWN = ("detector", "regime", "codec", "record_set", "quality", "target_bpp", "scale", "trained_on", "steps", "seed",
         "fold", "tuned_from", "beta", "lmbda")
BPP = Metric("bpp", "rate", unit="bits per pixel", higher_is_better=False)


def write_hparams(workdir, task, points, found):
    """Writes one TensorBoard run a point.

    Args:
      workdir: the study's folder; receives tensorboard/<model>/<record set>/events.out.tfevents.*.
      task: the Task whose metrics are shown, and the rate.
      points: [Point].
      found: {evaluation: content of its metrics.json}.
    """
    for point in points:
        values = found[point.evaluation]
        known = {**point.as_dict(), "quality": "" if point.quality is None else str(point.quality)}
        hparams = {name: known[name] for name in SHOWN if known.get(name) is not None}
        numbers = {metric.tag: metric.of(values) for metric in (*task.metrics, BPP)}
        path = pathlib.Path(workdir) / "tensorboard" / point.model / point.record_set / "events.out.tfevents.0.study"
        data = _events(hparams, {name: value for name, value in numbers.items() if value is not None},
                       point.steps, f"{point.model}/{point.record_set}",
                       (pathlib.Path(workdir) / point.evaluation / "metrics.json").stat().st_mtime)
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
