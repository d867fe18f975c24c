"""The pipeline.config of a zoo archive, made to build the same model with this OD API.

Imports only the OD API's protos, no TensorFlow.
"""

import dataclasses
import re

from google.protobuf import text_format

from tfod_compress.support.errors import InputError

# TF1's extractors, and ours that compute the same numbers.
EXTRACTORS = {
    "ssd_inception_v2": "ssd_inception_v2_keras",
    "faster_rcnn_inception_v2": "faster_rcnn_inception_v2_keras",
    "faster_rcnn_resnet50": "faster_rcnn_resnet50_slim_keras",
    "faster_rcnn_resnet101": "faster_rcnn_resnet101_slim_keras",
}
# Comments, strings, punctuation, and everything else up to one of those or a space.
_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}<>\[\]:,;]|[^\s{}<>\[\]:,;"'#]+""")
_CLOSING = {"{": "}", "<": ">", "[": "]"}
_MAX_DEPTH = 100  # of nested messages; real configs have about 10


@dataclasses.dataclass
class Config:
    """A config that builds the model with this OD API.

    Attributes:
      pipeline: TrainEvalPipelineConfig.
      source: where it came from.
      dropped: names of the fields that this OD API does not know, such as "model.ssd.feature_extractor.x".
      changed: what else differs from the source, one sentence each.
    """

    pipeline: object
    source: str
    dropped: list
    changed: list

    @property
    def model(self):
        """The message of the architecture, `ssd` or `faster_rcnn`."""
        return getattr(self.pipeline.model, self.pipeline.model.WhichOneof("model"))


def convert(text, source, extractor):
    """Reads the text of an old pipeline.config and adapts it.

    Args:
      text: of a TrainEvalPipelineConfig, TF1's or newer.
      source: its name, for messages.
      extractor: TF1's name of the feature extractor that it must have.

    Returns:
      A `Config`. Paths of the machine it was trained on are cleared.

    Raises:
      InputError: it is no such text, or describes another detector.
    """
    from object_detection.protos import pipeline_pb2

    pipeline = pipeline_pb2.TrainEvalPipelineConfig()
    text, dropped = drop_unknown_fields(text, pipeline.DESCRIPTOR, source)
    try:
        text_format.Parse(text, pipeline)
    except text_format.ParseError as error:
        raise InputError(f"{source}: not a pipeline config: {error}") from error
    architecture = pipeline.model.WhichOneof("model")
    if architecture not in ("ssd", "faster_rcnn"):
        raise InputError(f"{source}: its model is {architecture}, neither ssd nor faster_rcnn; take another archive")
    config = Config(pipeline, source, dropped, [])
    _change_model(config, architecture, extractor)
    _change_training(config)
    return config


def _change_model(config, architecture, extractor):
    features = config.model.feature_extractor
    if features.type != extractor:
        raise InputError(f"{config.source}: its feature extractor is {features.type!r}, but this name's is "
                         f"{extractor!r}; give the name that belongs to the archive")
    features.type = EXTRACTORS[extractor]
    config.changed.append(f"feature_extractor.type was {extractor}; {features.type} computes the same in TF2")
    if architecture == "faster_rcnn":
        return
    if not features.override_base_feature_extractor_hyperparams:
        features.override_base_feature_extractor_hyperparams = True
        config.changed.append("override_base_feature_extractor_hyperparams was not set; TF1 used conv_hyperparams "
                              "for the whole network all the same")
    if config.model.box_predictor.convolutional_box_predictor.apply_sigmoid_to_scores:
        raise InputError(f"{config.source}: sets apply_sigmoid_to_scores, which TF2's box predictor ignores")


def _change_training(config):
    """Clears what belongs to the machine it was trained on."""
    pipeline, train = config.pipeline, config.pipeline.train_config
    cleared = []
    for field in ("fine_tune_checkpoint", "from_detection_checkpoint", "fine_tune_checkpoint_type"):
        if train.HasField(field):
            train.ClearField(field)
            cleared.append(f"train_config.{field}")
    for name, readers in (("train", [pipeline.train_input_reader]), ("eval", pipeline.eval_input_reader)):
        for reader in readers:
            if reader.label_map_path or reader.tf_record_input_reader.input_path:
                cleared.append(f"the paths of {name}_input_reader")
            reader.ClearField("label_map_path")
            reader.tf_record_input_reader.ClearField("input_path")
            reader.tf_record_input_reader.SetInParent()
    if cleared:
        config.changed.append(f"cleared, as they were of another machine: {', '.join(cleared)}")
    if pipeline.HasField("train_config") and train.optimizer.use_moving_average:
        train.optimizer.use_moving_average = False
        config.changed.append("train_config.optimizer.use_moving_average was on; training here has no averages")


def only_field(text, name, source):
    """Takes one message field out of the text of a message, without looking into the others.

    Args:
      text: of the message.
      name: of the field at its top, such as "model".
      source: its name, for messages.

    Returns:
      The field's text, `name { … }`; the lines before it are blank, so that errors in it name the right line.

    Raises:
      InputError: the brackets do not match, or the field is not there exactly once.
    """
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].startswith("#")]
    found, open_brackets, start = [], [], None
    for token, before in zip(tokens, [None, *tokens], strict=False):
        word = token[0]
        if word in _CLOSING:
            if len(open_brackets) >= _MAX_DEPTH:
                raise InputError(f"{source}: not a pipeline config: more than {_MAX_DEPTH} messages inside each other")
            open_brackets.append(_CLOSING[word])
        elif open_brackets and word == open_brackets[-1]:
            open_brackets.pop()
            if start is not None and not open_brackets:
                found.append((start, token.end()))
                start = None
        elif word in _CLOSING.values():
            raise InputError(f"{source}: not a pipeline config: {word!r} closes nothing")
        elif word == name and not open_brackets and (before is None or before[0] != ":"):
            start = token.start()
    if open_brackets:
        raise InputError(f"{source}: not a pipeline config: a bracket is not closed")
    if len(found) != 1:
        raise InputError(f"{source}: not a pipeline config: has {len(found) or 'no'} {name} at its top")
    (start, end), = found
    return "\n" * text.count("\n", 0, start) + text[start:end]


def drop_unknown_fields(text, descriptor, source):
    """Takes the fields that a message does not have out of its text.

    Args:
      text: protobuf text.
      descriptor: of the message.
      source: name of the text, for messages.

    Returns:
      (the text without them, their names with the messages they are in, such as "model.ssd.x").

    Raises:
      InputError: the braces do not match, or messages are nested absurdly deep.
    """
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].startswith("#")]
    kept, dropped, position = [], [], 0
    # Of every message that is open: its descriptor (None inside an unknown field), its name, the closing bracket.
    open_messages = [(descriptor, "", None)]
    i, start = 0, None  # start: where an unknown field began
    while i < len(tokens):
        word = tokens[i][0]
        inside, path, closing = open_messages[-1]
        if word == closing:
            open_messages.pop()
            i += 1
            if start is not None and open_messages[-1][0] is not None:
                position, start = _cut(text, kept, position, start, tokens[i - 1].end()), None
            continue
        if word in ",;" or (closing == "]" and word not in _CLOSING):
            i += 1
            continue
        if closing == "]":  # a message in a list of messages
            field, name = None, path
        else:
            if word in "{}<>[]:" or word[0] in "\"'":
                raise InputError(f"{source}: not a pipeline config: {word!r} where a field name is due")
            field = inside.fields_by_name.get(word) if inside is not None else None
            name = f"{path}.{word}" if path else word
            if inside is not None and field is None:
                dropped.append(name)
                start = tokens[i].start()
            i += 1
            if i < len(tokens) and tokens[i][0] == ":":
                i += 1
        if i >= len(tokens):
            raise InputError(f"{source}: not a pipeline config: it ends after {name}")
        if tokens[i][0] in _CLOSING:
            if len(open_messages) > _MAX_DEPTH:
                raise InputError(f"{source}: not a pipeline config: more than {_MAX_DEPTH} messages inside each other")
            below = inside if closing == "]" else field.message_type if field is not None else None
            open_messages.append((below, name, _CLOSING[tokens[i][0]]))
            i += 1
            continue
        quoted = tokens[i][0][0] in "\"'"
        i += 1
        while quoted and i < len(tokens) and tokens[i][0][0] in "\"'":  # strings side by side are one
            i += 1
        if start is not None and inside is not None:
            position, start = _cut(text, kept, position, start, tokens[i - 1].end()), None
    if len(open_messages) > 1:
        raise InputError(f"{source}: not a pipeline config: {open_messages[-1][1]} is not closed")
    return "".join([*kept, text[position:]]), list(dict.fromkeys(dropped))


def _cut(text, kept, position, start, end):
    kept.append(text[position:start])
    return end
