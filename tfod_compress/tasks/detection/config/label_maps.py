"""The label maps that a pipeline.config names, and whether a record set has the same classes."""

from tfod_compress.labels import label_map as label_maps
from tfod_compress.support.errors import InputError
from tfod_compress.support.text import listed


def check(config, path, record_set):
    """Raises InputError unless a record set has the classes that a pipeline.config's model was made for.

    Args:
      config: the TrainEvalPipelineConfig.
      path: its file, for the message.
      record_set: RecordSet.
    """
    ours = dict(record_set.label_map)
    classes = getattr(config.model, config.model.WhichOneof("model")).num_classes
    if max(ours) != classes:
        raise InputError(f"{path}: num_classes is {classes}, but {record_set.path}/label_map.pbtxt has ids up to "
                         f"{max(ours)}")
    readers = [config.train_input_reader, *config.eval_input_reader]
    for name in dict.fromkeys(reader.label_map_path for reader in readers if reader.label_map_path):
        theirs = read(name, path)
        if theirs != ours:
            differing = [f"{number}: {theirs.get(number)} / {ours.get(number)}" for number in sorted({*theirs, *ours})
                         if theirs.get(number) != ours.get(number)]
            raise InputError(f"{record_set.path}/label_map.pbtxt differs from {name}, which {path} was made with "
                             f"({listed(differing)}); evaluate on a record set of the same classes")


def read(path, named_by):
    """{id: shown name} of the label_map.pbtxt that a config names. Raises InputError, which names the config too."""
    return label_maps.read(path, f"{named_by} names it")
