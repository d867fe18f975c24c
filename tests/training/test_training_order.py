"""Which frames a step sees, and its random numbers, are functions of seed and step; records are checked as a whole."""

import numpy as np
import pytest

from tests import tiny_records
from tfod_compress.records.framing import read_records
from tfod_compress.support.errors import InputError
from tfod_compress.training import records as training_records
from tfod_compress.training import sampling
from tfod_compress.training.order import Order, examples

BOX = (0.1, 0.2, 0.5, 0.6)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A shard of 9 frames: 5 with a car, 2 of these also with a truck, 1 with a pedestrian, 3 empty."""
    images = tiny_records.pictures(9)
    classes = [[1], [1], [1], [1, 2], [1, 2], [3], [], [], []]
    labels = {name: [(*BOX, number) for number in numbers] for name, numbers in zip(images, classes, strict=True)}
    folder = tiny_records.write(tmp_path_factory.mktemp("records") / "png", images, labels)
    return next(folder.glob("*.tfrecord"))


@pytest.fixture(scope="module")
def frames(records):
    return training_records.scan([records], tiny_records.NAMES, 3)


def test_every_epoch_is_a_permutation_of_its_own():
    order = Order(10, 4, seed=3)
    seen = np.concatenate([order.indices(step) for step in range(10)]).reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in seen.tolist())
    assert len({tuple(epoch) for epoch in seen.tolist()}) == 4


def test_the_order_depends_on_seed_and_step_alone():
    order = Order(10, 4, seed=3)
    steps = [order.indices(step).tolist() for step in range(20)]
    again = Order(10, 4, seed=3)
    assert [again.indices(step).tolist() for step in reversed(range(20))] == steps[::-1]
    assert [Order(10, 4, seed=4).indices(step).tolist() for step in range(20)] != steps


def test_without_shuffle_frames_come_as_in_the_files():
    order = Order(5, 2, 0, shuffle=False)
    assert np.concatenate([order.indices(step) for step in range(5)]).tolist() == [*range(5)] * 2


def test_weights_give_each_frame_its_share():
    weights = np.array([1.0, 0.0, 2.5, 0.5])
    order = Order(4, 4, seed=0, weights=weights)
    counts = np.bincount(np.concatenate([order.indices(step) for step in range(1000)]), minlength=4)
    assert np.allclose(counts / 4000, weights / 4, atol=0.01)
    assert counts[1] == 0


def test_an_epoch_holds_the_expected_copies_rounded_down_or_up():
    weights = np.random.default_rng(0).uniform(0.2, 3, 50)
    order = Order(50, 50, seed=1, weights=weights)
    expected = weights * 50 / weights.sum()
    for step in range(20):
        copies = np.bincount(order.indices(step), minlength=50)
        assert (copies >= np.floor(expected)).all()
        assert (copies <= np.ceil(expected)).all()


def test_a_batch_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a batch of 11 from 10"):
        Order(10, 11, 0)


def test_records_from_a_step_on_are_those_of_an_uninterrupted_run(frames, records):
    order = Order(len(frames), 4, seed=7)
    whole = list(examples(frames, order, 0).take(6).as_numpy_iterator())
    later = list(examples(frames, order, 3).take(3).as_numpy_iterator())
    share = list(examples(frames, order, 3, slice(2, 4)).take(3).as_numpy_iterator())
    stored = list(read_records(records))
    for full, resumed, part in zip(whole[3:], later, share, strict=True):
        assert full["record"].tolist() == [stored[index] for index in full["index"]]
        for key, value in full.items():
            assert np.array_equal(value, resumed[key])
            assert np.array_equal(value[2:4], part[key])
    seeds = np.concatenate([element["seed"] for element in whole])
    assert len(np.unique(seeds, axis=0)) == 24


def test_random_ops_follow_the_seed_given():
    import tensorflow as tf

    from tfod_compress.training.stateless_random import random_from

    def draw():
        return (tf.random.uniform([8]), tf.random.shuffle(tf.range(50)), tf.nn.dropout(tf.ones([50]), 0.5),
                tf.random.uniform([50], maxval=9, dtype=tf.int32), tf.random.normal([8]),
                tf.image.random_brightness(tf.ones([2, 2, 3]), 0.5)[0, 0],
                tf.compat.v1.image.sample_distorted_bounding_box([200, 200, 3], [[[0.1, 0.1, 0.4, 0.4]]])[0])

    @tf.function
    def of_step(step):
        with random_from(tf.stack([tf.constant(1, tf.int64), step])):
            first, second = draw(), draw()
        return first, second

    (first, second), (again, _), (other, _) = (of_step(tf.constant(step, tf.int64)) for step in (5, 5, 6))
    for one, later, same, different in zip(first, second, again, other, strict=True):
        assert np.array_equal(one, same)
        assert not np.array_equal(one, later)
        assert not np.array_equal(one, different)
    stateful = tf.function(lambda: tf.random.uniform([8]))
    assert not np.array_equal(stateful(), stateful())


def test_frames_hold_what_the_records_do(frames):
    assert frames.source_ids == list(tiny_records.pictures(9))
    assert frames.boxes.sum(axis=0).tolist() == [5, 2, 1]
    assert frames.take(slice(None, None, 4)).source_ids == frames.source_ids[::4]
    assert frames.take(slice(None, None, 4)).read([1]) == frames.read([4])


def test_class_balance_makes_every_class_as_likely(frames):
    """A class drawn uniformly, then a frame of it; frames without boxes keep their share."""
    weights = sampling.weights(frames.boxes)
    assert np.isclose(weights.sum(), 1)
    assert np.allclose(weights[6:], 1 / 9)
    drawn = 2 / 3 / 3 * np.array([1 / 5, 1 / 5, 1 / 5, 1 / 5 + 1 / 2, 1 / 5 + 1 / 2, 1])
    assert np.allclose(weights[:6], drawn)
    before, after = sampling.shares(frames.boxes), sampling.shares(frames.boxes, weights)
    assert np.allclose(before, [5 / 8, 2 / 8, 1 / 8])
    assert np.ptp(after) < np.ptp(before)
    assert "Pedestrian 12.5% -> 22.7%" in sampling.describe(frames.boxes, weights, tiny_records.NAMES)


def test_class_balance_of_one_class_a_frame_is_exact():
    boxes = np.eye(3, dtype=int)[[0] * 12 + [1] * 5 + [2]]
    assert np.allclose(sampling.shares(boxes, sampling.weights(boxes)), 1 / 3)


@pytest.mark.parametrize(("boxes", "names", "classes", "told"), [
    ([(*BOX, 4)], {4: "Bus"}, 3, "class 'Bus' is not in the label map"),
    ([(*BOX, 2)], {2: "Pedestrian"}, 3, "has id 2, but the label map says 3"),
    ([(*BOX, 3)], {3: "Pedestrian"}, 2, "class id 3 is not in 1..2"),
    ([(0.5, 0.2, 0.1, 0.6, 1)], {1: "PassengerCar"}, 3, "ends before it begins"),
    ([(0.1, 0.2, 1.5, 0.6, 1)], {1: "PassengerCar"}, 3, "outside the frame"),
    ([(float("nan"), 0.2, 0.5, 0.6, 1)], {1: "PassengerCar"}, 3, "outside the frame"),
])
def test_labels_that_do_not_fit_are_refused_with_their_place(tmp_path, boxes, names, classes, told):
    path = tmp_path / "train.tfrecord"
    fine = tiny_records.example("fine", b"x", "png", 60, 80, [(*BOX, 1)])
    tiny_records.write_shard(path, [fine, tiny_records.example("seq/7", b"x", "png", 60, 80, boxes, names)])
    with pytest.raises(InputError, match="record 1: seq/7: .*" + told) as error:
        training_records.scan([path], tiny_records.NAMES, classes)
    assert "train.tfrecord" in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
def test_damaged_records_are_refused(tmp_path, records, damage):
    data = bytearray(records.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
    path = tmp_path / "train.tfrecord"
    path.write_bytes({"cut": data[:-40], "bit": data, "empty": b"", "other": b""}[damage])
    if damage == "other":
        tiny_records.write_shard(path, [b"not an example"])
    with pytest.raises(InputError, match="train.tfrecord.*make the record set again"):
        training_records.scan([path], tiny_records.NAMES, 3)
