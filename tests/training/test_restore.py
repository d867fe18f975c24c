"""What a fine-tuning run takes over from a checkpoint of a detector of other classes, and what it refuses."""

import numpy as np
import pytest

from tests import tiny_records
from tfod_compress.support.errors import InputError


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Builds the tiny SSD for so many classes, its variables made."""
    import tensorflow as tf

    from tfod_compress.tasks.detection import odapi
    from tfod_compress.tasks.detection.config import pipeline_config

    odapi.install()
    from object_detection.builders import model_builder

    folder = tmp_path_factory.mktemp("restore")

    def build(classes):
        path = tiny_records.write_config(folder / f"{classes}.config", folder, classes=classes)
        model = model_builder.build(pipeline_config.read(path).model, is_training=False)
        model.predict(*model.preprocess(tf.zeros([1, 64, 96, 3])))
        return model

    return build


@pytest.fixture(scope="module")
def checkpoint(make, tmp_path_factory):
    """(prefix, values in the order of the variables) of a detector of three classes."""
    import tensorflow as tf

    model = make(3)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape))
    folder = tmp_path_factory.mktemp("checkpoint")
    saved = tf.train.Checkpoint(model=model, feature_extractor=model.feature_extractor.classification_backbone)
    return saved.save(str(folder / "ckpt")), values(model)


def values(model):
    return [variable.numpy() for variable in model.variables]


@pytest.mark.parametrize("with_heads", [False, True])
def test_detection_restores_what_knows_no_classes(make, checkpoint, with_heads):
    """On request the box heads come along; the class heads have another shape and stay as they were."""
    from tfod_compress.training import restore

    prefix, saved = checkpoint
    model = make(5)
    before = values(model)
    kept = restore.start_from(model, prefix, "detection", with_heads=with_heads)
    reasons = [kept.get(variable.ref()) for variable in model.variables]
    names = [variable.name for variable in model.variables]
    class_heads = [i for i, name in enumerate(names) if "ClassPredictor" in name]
    box_heads = [i for i, name in enumerate(names) if "BoxEncodingPredictor" in name]
    assert len(class_heads) == len(box_heads) == 12
    fresh = {i for i, reason in enumerate(reasons) if reason}
    assert fresh == {*class_heads, *(() if with_heads else box_heads)}
    for i, value in enumerate(values(model)):
        assert np.array_equal(value, before[i] if i in fresh else saved[i]), names[i]
    if with_heads:
        bias = next(i for i in class_heads if before[i].ndim == 1)
        depth = before[bias].size
        assert reasons[bias] == f"of shape [{depth // 6 * 4}] in the checkpoint, [{depth}] here"


def test_full_fits_only_the_same_classes(make, checkpoint):
    from tfod_compress.training import restore

    prefix, saved = checkpoint
    with pytest.raises(InputError, match="does not hold the weights"):
        restore.start_from(make(5), prefix, "full")
    model = make(3)
    assert restore.start_from(model, prefix, "full") == {}
    assert all(map(np.array_equal, values(model), saved))
    with pytest.raises(InputError, match="changed no weight"):
        restore.start_from(model, prefix, "full")


@pytest.mark.parametrize(("kind", "with_heads", "told"), [("full", True, "not full"), ("fine", False, "fine")])
def test_refuses_types_that_make_no_sense(make, checkpoint, kind, with_heads, told):
    from tfod_compress.training import restore

    with pytest.raises(InputError, match=told):
        restore.start_from(make(3), checkpoint[0], kind, with_heads=with_heads)
