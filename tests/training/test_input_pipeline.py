"""Training batches: a function of (seed, step), the same with and without the cache, shared out among workers."""

import io

import numpy as np
import pytest
from PIL import Image

from tfod_compress.frames import bmp
from tfod_compress.records import RecordSet
from tfod_compress.records.conversion import convert
from tfod_compress.tasks.detection.config import pipeline_config

BATCH = 6


@pytest.fixture(scope="module")
def data(demo_records, tmp_path_factory):
    """(config, model, frames) of JPEG frames of 256x160."""
    from tfod_compress.tasks.detection import odapi
    from tfod_compress.training import checks

    odapi.install()
    from object_detection.builders import model_builder

    path = tmp_path_factory.mktemp("config") / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", demo_records / "jpeg-q5", path, batch_size=BATCH)
    config = pipeline_config.read(path)
    frames, _ = checks.frames(config, path, 1)
    return config, model_builder.build(config.model, is_training=True), frames


def batches(data, count, first_step=0, seed=3, **options):
    """[(features, labels)] as NumPy."""
    from tfod_compress.tasks.detection.odapi import input_transform
    from tfod_compress.training import batches as input_pipeline
    from tfod_compress.training import order as training_order

    config, model, frames = data
    order = training_order.Order(len(frames), BATCH, seed)
    found = input_pipeline.batches(input_transform.for_training(config, model), frames, order, first_step, **options)
    return list(found.take(count).as_numpy_iterator())


def assert_same(one, other):
    for features, others in zip(one, other, strict=True):
        for a, b in zip(features, others, strict=True):
            assert set(a) == set(b)
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_batches_depend_on_seed_and_step_alone_whatever_the_cache(data):
    plain = batches(data, 12, cache_bytes=0)
    frames = len(data[2])
    assert 2 * frames < 12 * BATCH  # so that most come from the cache
    assert_same(plain, batches(data, 12))
    assert_same(plain[7:], batches(data, 5, first_step=7))
    assert_same(plain, batches(data, 12, cache_bytes=400_000))  # three frames fit
    assert not np.array_equal(plain[0][0]["source_id"], batches(data, 1, seed=4)[0][0]["source_id"])
    seen = [name for features, _ in plain for name in features["source_id"]]
    assert len(set(seen[:frames])) == frames


def test_a_frame_is_flipped_in_one_epoch_and_not_in_another(data):
    """The augmentation draws anew for each place in the run, not for each frame."""
    images = {}
    for features, _ in batches(data, 12):
        for name, image in zip(features["source_id"], features["image"], strict=True):
            images.setdefault(name, set()).add(image.tobytes())
    assert {len(kept) for kept in images.values()} >= {1, 2}
    assert max(len(kept) for kept in images.values()) == 2


def test_pixels_are_those_of_libjpegs_accurate_decoder(data):
    from tfod_compress.records import wire
    from tfod_compress.training import batches as input_pipeline

    kept = input_pipeline.DecodedFrames(data[2], 1 << 30)
    for index in range(3):
        encoded = wire.parse(data[2].read([index])[0])["image/encoded"][0]
        expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
        for _ in range(2):
            record = wire.parse(kept.read([index])[0])
            found = np.asarray(Image.open(io.BytesIO(record["image/encoded"][0])))
            np.testing.assert_array_equal(found, expected)
        assert set(record) == set(wire.parse(data[2].read([index])[0]))


def test_ids_with_gaps_train_their_own_outputs(demo_records, tmp_path):
    """Names of the label map decide the column of a box, also where ids have gaps; COCO's go to 90."""
    from object_detection.builders import model_builder

    from tfod_compress.labels import label_map
    from tfod_compress.training import checks

    source = demo_records.parent / "data"
    gaps = {number * number + 20: name for number, name in label_map.load("lmu").items()}
    (tmp_path / "gaps.pbtxt").write_text(label_map.text(gaps))
    made, = convert(source / "frames", source / "labels", tmp_path, qualities=(20,), label_map=str(
        tmp_path / "gaps.pbtxt"), workers_count=1)
    path = tmp_path / "ssd.config"
    pipeline_config.make("ssd_inception_v2_demo", made.path, path, batch_size=BATCH)
    config = pipeline_config.read(path)
    assert config.model.ssd.num_classes == 69
    frames, names = checks.frames(config, path, 1)
    assert names == gaps and frames.boxes.shape[1] == 69
    truth = {example.source_id: example.class_ids for example in RecordSet(made.path).examples("train")}
    for features, labels in batches((config, model_builder.build(config.model, is_training=True), frames), 3):
        for row, name in enumerate(features["source_id"]):
            count = labels["num_groundtruth_boxes"][row]
            columns = labels["groundtruth_classes"][row, :count]
            assert columns.shape[1] == 69 and (columns.sum(axis=1) == 1).all()
            assert sorted(1 + columns.argmax(axis=1)) == sorted(truth[name.decode()])


def test_workers_and_replicas_share_each_batch(data):
    import tensorflow as tf

    whole = batches(data, 2)
    parts = {worker: batches(data, 4 if worker == 0 else 2, context=tf.distribute.InputContext(*context))
             for worker, context in ((0, (1, 0, 2)), (1, (2, 1, 2)))}
    ids = [[name for name in features["source_id"]] for features, _ in whole]
    first, second = ([list(features["source_id"]) for features, _ in parts[worker]] for worker in (0, 1))
    assert first == [ids[0][:3], ids[0][3:], ids[1][:3], ids[1][3:]]  # two replicas in one process
    assert second == [ids[0][3:], ids[1][3:]]  # the second of two workers


@pytest.mark.parametrize("width", [1, 2, 3, 4, 31])
def test_bitmaps_of_any_width_come_back(width):
    import tensorflow as tf

    rgb = np.random.default_rng(width).integers(0, 256, (5, width, 3), np.uint8)
    found = tf.io.decode_image(bmp.encode(rgb), channels=3)
    np.testing.assert_array_equal(found, rgb)
