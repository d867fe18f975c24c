"""The table of parameters: counts are the network's, and the published ones are sums of kinds of variables."""

import pytest

from benchmarks import parameters
from tfod_compress.tasks.detection import odapi


def test_inception_v2_is_the_published_network_but_for_the_scales():
    """Slim's Inception has no scales; 128 of the published count are unexplained: two vectors of 64."""
    odapi.install()
    kinds = parameters.count_kinds(parameters.backbone("inception_v2"))
    assert sum(kinds.values()) - kinds["gamma"] - parameters.PUBLISHED["inception_v2"] == 128
    assert kinds["gamma"] == kinds["beta"] == kinds["moving_mean"] == kinds["moving_variance"] == 9952


@pytest.mark.slow
def test_resnet_101_has_the_published_number_of_variables():
    odapi.install()
    kinds = parameters.count_kinds(parameters.backbone("resnet_v1_101"))
    assert sum(kinds.values()) == parameters.PUBLISHED["resnet_v1_101"]


def test_the_rule_with_the_least_left_over_is_named():
    kinds = {"weights": 1000, "gamma": 10, "beta": 10, "moving_mean": 10, "moving_variance": 10}
    assert parameters.explain(kinds, 1040) == "all of them"
    assert parameters.explain(kinds, 1029).endswith(", -1")
    assert parameters.explain(kinds, 1010) == "weights and offsets"


def test_multiply_adds_by_hand():
    import tensorflow as tf

    def network(x):
        x = tf.nn.conv2d(x, tf.zeros([3, 3, 3, 8]), 2, "SAME")                     # 8 x 8 x 8 outputs of 27
        x = tf.nn.depthwise_conv2d(x, tf.zeros([5, 5, 8, 2]), [1, 1, 1, 1], "SAME")  # 8 x 8 x 16 of 25
        rows = tf.boolean_mask(tf.reshape(x, [64, 16]), tf.reduce_sum(tf.reshape(x, [64, 16]), 1) > 0)
        return tf.linalg.matmul(rows, tf.zeros([16, 5]))                           # ? x 5 of 16

    graph = tf.function(network).get_concrete_function(tf.TensorSpec([1, 16, 16, 3])).graph
    expected = 8 * 8 * 8 * 27 + 8 * 8 * 16 * 25 + 7 * 5 * 16
    assert parameters.multiply_adds(graph, proposals=7) == expected
