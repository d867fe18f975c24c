"""The process that runs models out of archives: `python -m … REQUEST.json ANSWER.json`, started by `verification`."""

import dataclasses
import json
import pathlib
import sys

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tfod_compress.support.errors import InputError
from tfod_compress.support.files import write_json
from tfod_compress.support.text import listed
from tfod_compress.tasks.checkpoints import latest_checkpoint
from tfod_compress.tasks.detection import saved_model
from tfod_compress.tasks.detection.detector import Detector
from tfod_compress.tasks.detection.zoo import comparison, operations

_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
MAX_NAMED = 1000  # variables without a value that an error lists


def answer(request):
    """What a request of `verification` asks for: {"variables", and where there are pictures "comparison"}.

    Raises:
      InputError: see `verification.run`.
    """
    work = pathlib.Path(request["work"])
    pictures = [np.load(work / f"{number}.npy", allow_pickle=False) for number in range(len(request["pictures"]))]
    reference = None
    if request["frozen_graph"]:
        reference = run_frozen_graph(operations.check_frozen_graph(request["frozen_graph"]), pictures)
    elif request["saved_model"]:
        operations.check_saved_model(request["saved_model"])
        reference = run_saved_model(request["saved_model"], pictures)
    check_values(request["folder"])
    detector = Detector(pathlib.Path(request["folder"]) / "pipeline.config")
    detector.restore(request["folder"], named=MAX_NAMED)
    found = {"variables": [{"tf2": variable.name.removesuffix(":0"), "shape": variable.shape.as_list()}
                           for variable in detector.variables]}
    if reference is not None:
        result = comparison.compare(request["pictures"], reference, list(map(detector.detect_image, pictures)))
        found["comparison"] = dataclasses.asdict(result)
    return found


def check_values(folder):
    """Raises InputError where a checkpoint lists variables without their values; Detector.restore would tell one."""
    prefix = latest_checkpoint(folder)
    try:
        reader = tf.train.load_checkpoint(prefix)
        held = reader.get_variable_to_shape_map()
        objects = trackable_object_graph_pb2.TrackableObjectGraph()
        objects.ParseFromString(reader.get_tensor(_OBJECTS) if _OBJECTS in held else b"")
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, DecodeError) as error:
        raise InputError(f"{prefix}: cannot be read as a checkpoint: {_first_line(error)}") from error
    missing = [attribute.checkpoint_key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for node in objects.nodes
               for attribute in node.attributes if attribute.checkpoint_key not in held]
    if missing:
        raise InputError(f"{prefix}: lacks the values of {len(missing)} variables that it lists: "
                         f"{listed(sorted(missing), MAX_NAMED)}")


def run_saved_model(folder, pictures):
    """The detections of a SavedModel, one (boxes, class ids, scores) a picture."""
    try:
        detector = saved_model.SavedModelDetector(folder)
        return [detector.detect_image(picture) for picture in pictures]
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}", "saved_model")) from error
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise InputError(f"saved_model: cannot be run: {_first_line(error)}") from error


def run_frozen_graph(graph_def, pictures):
    """The detections of a TF1 zoo's graph, which takes `image_tensor`, uint8 [1, H, W, 3].

    Args:
      graph_def: GraphDef, checked.
      pictures: [uint8 [H, W, 3]].

    Returns:
      [(boxes [K, 4], class ids [K], scores [K])].

    Raises:
      InputError: it has no such input and outputs, or cannot be run.
    """
    name = "frozen_inference_graph.pb"
    missing = sorted({"image_tensor", *saved_model.OUTPUTS} - {node.name for node in graph_def.node})
    if missing:
        raise InputError(f"{name}: not a detector of the zoo, as it has no {', '.join(missing)}")
    results = []
    try:
        with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
            tf.import_graph_def(graph_def, name="")
            for picture in pictures:
                values = session.run([f"{output}:0" for output in saved_model.OUTPUTS],
                                     {"image_tensor:0": picture[np.newaxis]})
                boxes, scores, classes, count = (value[0] for value in values)
                count = int(count)
                results.append((boxes[:count], np.rint(classes[:count]).astype(np.int64), scores[:count]))
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise InputError(f"{name}: cannot be run: {_first_line(error)}") from error
    return results


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def main(request, result):
    """Answers a request; what is wrong with the archive is an answer as well."""
    asked = json.loads(pathlib.Path(request).read_text(encoding="utf-8"))
    try:
        found = answer(asked)
    except InputError as error:  # the folder goes again: what the user knows are the files in it
        found = {"error": str(error).replace(f"{pathlib.Path(asked['folder']).resolve()}/", "").replace(
            f"{asked['folder']}/", "")}
    write_json(result, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
