"""Learned codecs: streams, exact arithmetic, and what a model folder must be; on narrow models with drawn weights."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_compression as tfc

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.learned import MODELS, bitstream, coder, fixed_point, layers, model_folder, range_coder
from tfod_compress.support.errors import InputError

NAMES = sorted(MODELS)


def drawn_model(name, seed=0):
    """A narrow model whose latents are some steps wide and whose scales fit them, as those of a trained one."""
    tf.keras.utils.set_random_seed(seed)
    model = coder.build(name, 8, 12)
    _widen(model.analysis.layers[-1], 40)
    scenes = np.stack([records_data.scene(number, 256, 192) for number in range(4)])
    y = model.analysis(tf.constant(scenes, tf.float32) / 255).numpy()
    model.analysis.layers[-1].bias_parameter.assign_sub(y.mean(axis=(0, 1, 2)))
    if name != "bls2017":
        _widen(model.hyper_analysis.layers[-1], 10)
        last = model.hyper_synthesis.layers[-1].bias_parameter
        step = np.log(256 / 0.11) / 63
        last[:12].assign(np.float32(np.log(y.std(axis=(0, 1, 2)) / 0.11) / step))
    return model


def _widen(layer, factor):
    for part in (layer.kernel_parameter.real, layer.kernel_parameter.imag):
        part.assign(part * factor)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """{codec: folder of a model}."""
    top = tmp_path_factory.mktemp("models")
    for name in NAMES:
        model = drawn_model(name)
        model_folder.write(top / name, name, 8, 12, 0.01, coder.weights_of(model), model.tables(), {})
    return {name: top / name for name in NAMES}


@pytest.fixture(scope="module")
def ready(folders):
    """{codec: the codec}, each loaded once."""
    return {name: codecs.get(name, model=folder) for name, folder in folders.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (17, 130), (64, 64)])
def test_frames_of_any_size_come_back_cropped(ready, name, shape):
    codec, rgb = ready[name], records_data.scene(1, shape[1], shape[0])
    data = codec.encode(rgb, 0.01)
    decoded = codec.decode(data)
    assert decoded.shape == rgb.shape and decoded.dtype == np.uint8 and decoded.std() > 0
    view = rgb[::-1, :, ::-1].copy()[::-1, :, ::-1]
    assert codec.encode(view, 0.01) == data
    # A frame padded by hand with its edge has the same latents.
    padded = np.pad(rgb, ((0, -shape[0] % 64), (0, -shape[1] % 64), (0, 0)), "edge")
    if name != "bls2017":  # which pads to multiples of 16
        np.testing.assert_array_equal(decoded, codec.decode(codec.encode(padded, 0.01))[:shape[0], :shape[1]])


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_shows_what_the_differentiable_path_shows_with_rounding(ready, folders, name):
    model, _ = coder.load(model_folder.read(folders[name]))
    rgb = records_data.scene(2, 128, 64)
    x_hat, bits = model(tf.constant(rgb[np.newaxis], tf.float32), straight_through=True)
    decoded = ready[name].decode(ready[name].encode(rgb, 0.01))
    difference = np.abs(layers.picture(x_hat)[0].numpy().astype(int) - decoded)
    assert np.mean(difference > 1) < 0.01  # means of mbt2018-mean are rounded in the stream's side
    assert 0 < float(bits[0]) < 1e6


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_are_those_that_the_model_estimates(ready, name):
    codec = ready[name]
    for seed in range(3):
        rgb = records_data.scene(seed, 704, 512)
        real, estimate = 8 * len(codec.encode(rgb, 0.01)), codec._coder(codec._models[0.01]).information(rgb)
        assert estimate > 20_000, "too little was coded to compare"
        assert abs(real - estimate) <= 0.01 * estimate + 200


@pytest.mark.parametrize("name", NAMES)
def test_altered_streams_are_refused(ready, name):
    codec = ready[name]
    data = codec.encode(records_data.scene(3, 80, 70), 0.01)
    generator = np.random.default_rng(0)
    for bad in (b"", b"TLC", data[:-1], data[:20], data[: len(data) // 2], data + b"\0", b"JFIF" + data, data * 2):
        with pytest.raises(InputError, match=f"^{name}: "):
            codec.decode(bad)
    for place in generator.integers(len(data), size=60):
        altered = bytearray(data)
        altered[place] ^= 1 << int(generator.integers(8))
        with pytest.raises(InputError):
            codec.decode(bytes(altered))


def test_pictures_that_are_too_large_are_refused(folders):
    codec = codecs.get("bls2017", model=folders["bls2017"])
    data = codec.encode(records_data.scene(3, 80, 70), 0.01)
    codec.max_pixels = 80 * 70 - 1
    with pytest.raises(InputError, match="more than"):
        codec.decode(data)
    codec.max_pixels += 1
    assert codec.decode(data).shape == (70, 80, 3)


def test_streams_with_a_true_checksum_and_false_content_are_refused_or_decoded_but_nothing_else(ready):
    codec = ready["bmshj2018"]
    stream_hash = codec._models[0.01].stream_hash
    data = codec.encode(records_data.scene(3, 80, 70), 0.01)
    _, _, strings = bitstream.unpack(data, stream_hash, 2, 10**6)
    generator = np.random.default_rng(1)
    for _ in range(20):
        junk = [generator.bytes(int(generator.integers(200))) for _ in strings]
        for parts in (junk, [strings[0], junk[1]], [junk[0], strings[1]]):
            try:
                decoded = codec.decode(bitstream.pack(stream_hash, 70, 80, parts))
            except InputError:
                continue
            assert decoded.shape == (70, 80, 3)
    for height, width in ((0, 5), (5, 0), (2**31, 2**31), (2**20, 2**20)):
        with pytest.raises(InputError):
            codec.decode(bitstream.pack(stream_hash, height, width, strings))


def test_a_stream_names_the_model_that_it_needs(ready, tmp_path):
    other = drawn_model("bmshj2018", seed=1)
    model_folder.write(tmp_path / "a", "bmshj2018", 8, 12, 0.02, coder.weights_of(other), other.tables(), {})
    stranger, codec = codecs.get("bmshj2018", model=tmp_path / "a"), ready["bmshj2018"]
    data = codec.encode(records_data.scene(4), 0.01)
    with pytest.raises(InputError, match="another model"):
        stranger.decode(data)
    with pytest.raises(InputError, match="another model"):
        ready["mbt2018-mean"].decode(data)
    assert stranger.record_set_name(0.02) != codec.record_set_name(0.01)


def test_encoder_and_decoder_can_change_without_a_new_stream(ready, folders, tmp_path):
    """What fixed_decoder and task_decoder rest on: the stream's hash is of neither transform's weights."""
    weights, tables = model_folder.read_arrays(model_folder.read(folders["bmshj2018"]))
    for part in ("encoder", "decoder"):
        changed = {name: array * 1.01 if name.startswith(part) else array for name, array in weights.items()}
        model_folder.write(tmp_path / part, "bmshj2018", 8, 12, 0.01, changed, tables, {})
    rgb, plain = records_data.scene(5, 128, 128), ready["bmshj2018"]
    encoder, decoder = (codecs.get("bmshj2018", model=tmp_path / part) for part in ("encoder", "decoder"))
    assert decoder.encode(rgb, 0.01) == plain.encode(rgb, 0.01) != encoder.encode(rgb, 0.01)
    assert (decoder.decode(plain.encode(rgb, 0.01)) != plain.decode(plain.encode(rgb, 0.01))).any()
    data = encoder.encode(rgb, 0.01)
    np.testing.assert_array_equal(plain.decode(data), encoder.decode(data))


def test_several_models_are_the_qualities_of_one_codec(folders, ready, tmp_path):
    weights, tables = model_folder.read_arrays(model_folder.read(folders["bls2017"]))
    finer = drawn_model("bls2017", seed=3)
    model_folder.write(tmp_path / "low", "bls2017", 8, 12, 0.003, weights, tables, {})
    model_folder.write(tmp_path / "high", "bls2017", 8, 12, 0.03, coder.weights_of(finer), finer.tables(), {})
    codec, rgb = codecs.get("bls2017", model=tmp_path), records_data.scene(6)
    assert codec.qualities == (0.003, 0.03)
    for lmbda in codec.qualities:
        assert codec.decode(codec.encode(rgb, lmbda)).shape == rgb.shape
    np.testing.assert_array_equal(codec.decode(codec.encode(rgb, 0.003)),
                                  ready["bls2017"].decode(ready["bls2017"].encode(rgb, 0.01)))
    for quality in (None, 0.01):
        with pytest.raises(InputError, match="0.003, 0.03"):
            codec.check_quality(quality)
    (tmp_path / "twin").mkdir()
    for file in (tmp_path / "low").iterdir():
        (tmp_path / "twin" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="two models with lmbda 0.003"):
        codecs.get("bls2017", model=tmp_path)


SCRIPT = """
import hashlib, os, sys
os.environ["TF_ENABLE_ONEDNN_OPTS"] = sys.argv[1]
from tests import records_data
from tfod_compress import codecs
codec = codecs.get("bmshj2018", model=sys.argv[3], threads=int(sys.argv[2]))
for seed, size in enumerate(((300, 200), (64, 64), (448, 330))):
    data = codec.encode(records_data.scene(seed, *size), 0.01)
    print(hashlib.sha256(data).hexdigest(), hashlib.sha256(codec.decode(data).tobytes()).hexdigest())
"""


def _hashes(folder, onednn, threads):
    process = subprocess.run([sys.executable, "-c", SCRIPT, onednn, str(threads), str(folder)], cwd=ROOT,
                             capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return process.stdout


def test_another_process_with_one_thread_gives_the_same_bytes_and_pixels(ready, folders):
    """This process has a thread for each core."""
    import hashlib

    expected = ""
    for seed, size in enumerate(((300, 200), (64, 64), (448, 330))):
        data = ready["bmshj2018"].encode(records_data.scene(seed, *size), 0.01)
        pixels = ready["bmshj2018"].decode(data).tobytes()
        expected += f"{hashlib.sha256(data).hexdigest()} {hashlib.sha256(pixels).hexdigest()}\n"
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")
    assert _hashes(folders["bmshj2018"], onednn, 1) == expected


@pytest.mark.slow
@pytest.mark.parametrize("onednn", ["0", "1"])
def test_the_number_of_threads_changes_nothing(folders, onednn):
    assert len({_hashes(folders["bmshj2018"], onednn, threads) for threads in (1, 2, 3, 8)}) == 1


def drawn_transform(generator, activation):
    """(kernel, bias, stride, activation) of three layers."""
    return [(generator.normal(0, 0.2, (support, support, inside, outside)), generator.normal(0, 1, outside), stride,
             kind) for support, inside, outside, stride, kind in (
                (5, 6, 7, 2, activation), (5, 7, 9, 2, activation), (3, 9, 8, 1, "none"))]


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_the_fixed_point_transform_is_the_float_one_but_for_rounding(activation):
    generator = np.random.default_rng(0)
    drawn = drawn_transform(generator, activation)
    z_hat = generator.integers(-9, 10, (3, 4, 6))
    x = tf.constant(z_hat[np.newaxis], tf.float32)
    for kernel, bias, stride, kind in drawn:
        layer = layers.up(kernel.shape[-1], kernel.shape[0], stride,
                          {"relu": tf.nn.relu, "leaky_relu": layers.leaky_relu, "none": None}[kind])
        layer.kernel_parameter = tf.constant(kernel, tf.float32)
        layer.bias_parameter = tf.constant(bias, tf.float32)
        x = layer(x)
    found = fixed_point.apply([fixed_point.quantize(*each) for each in drawn], z_hat)
    assert found.shape == x.shape[1:]
    assert np.abs(found / 2**fixed_point.ACTIVATION_BITS - x[0]).max() < 0.02 < np.abs(x).max()


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_the_fixed_point_transform_is_exact_in_any_order(activation):
    """Whole numbers of Python, summed one after the other in a drawn order, give what float64 matrices give."""
    generator = np.random.default_rng(1)
    transform = [fixed_point.quantize(*each) for each in drawn_transform(generator, activation)]
    z_hat = generator.integers(-600, 601, (2, 2, 6))  # float32 would not hold the sums
    expected = fixed_point.apply(transform, z_hat)
    assert (expected == np.rint(expected)).all()
    x = z_hat.astype(object) * 2**fixed_point.ACTIVATION_BITS
    for layer in transform:
        x = _exact(x, layer, generator)
    np.testing.assert_array_equal(expected, x.astype(np.float64))


def _exact(x, layer, generator):
    height, width, inside = x.shape
    support, stride = layer.kernel.shape[0], layer.stride
    out = np.zeros((stride * height, stride * width, layer.kernel.shape[-1]), object)
    terms = [(row, column, channel, down, right) for row in range(height) for column in range(width)
             for channel in range(inside) for down in range(support) for right in range(support)]
    for number in generator.permutation(len(terms)):
        row, column, channel, down, right = terms[number]
        top, left = stride * row + down - support // 2, stride * column + right - support // 2
        if 0 <= top < out.shape[0] and 0 <= left < out.shape[1]:
            out[top, left] += int(x[row, column, channel]) * layer.kernel[down, right, channel].astype(object)
    out = (out + layer.bias.astype(object) + 2**(fixed_point.WEIGHT_BITS - 1)) >> fixed_point.WEIGHT_BITS
    if layer.activation == "relu":
        out = np.maximum(out, 0)
    elif layer.activation == "leaky_relu":
        out = np.maximum(out, out >> 2)
    return np.clip(out, -fixed_point.ACTIVATION_LIMIT, fixed_point.ACTIVATION_LIMIT)


def test_indexes_withstand_the_rounding_of_sums_in_another_order():
    """Float sums that end near the middle of two indexes go either way; the fixed-point transform's do not."""
    generator = np.random.default_rng(2)
    kernel = np.rint(generator.normal(0, 3, (1, 1, 64, 40))) / 10
    bias, z_hat = np.rint(generator.uniform(200, 400, 40)) / 10, generator.integers(-9, 10, (24, 24, 64))
    indexes, in_float = [], []
    for order in (np.arange(64), generator.permutation(64)):
        layer = fixed_point.quantize(kernel[:, :, order], bias, 1, "none")
        indexes.append(fixed_point.scale_indexes(fixed_point.apply([layer], z_hat[..., order]), 64))
        total = np.zeros((24, 24, 40), np.float32)
        for channel in order:
            total += np.float32(z_hat[..., channel, np.newaxis]) * kernel[0, 0, channel].astype(np.float32)
        in_float.append(np.clip(np.floor(total + bias.astype(np.float32) + np.float32(0.5)), 0, 63))
    np.testing.assert_array_equal(*indexes)
    assert (in_float[0] != in_float[1]).any()
    assert np.mean(indexes[0] != in_float[0]) < 0.1 and np.abs(indexes[0] - in_float[0]).max() <= 1


def test_weights_too_large_for_exact_sums_are_refused():
    with pytest.raises(InputError, match="exact"):
        fixed_point.quantize(np.full((5, 5, 256, 3), 10.0), np.zeros(3), 2, "none")


@pytest.mark.parametrize("name", NAMES)
def test_a_prior_wider_than_a_table_can_hold_is_refused(name):
    """The library would end the process; in one that is wide and fits, every symbol has its place."""
    model = drawn_model(name)
    prior = "y_prior" if name == "bls2017" else "z_prior"
    channels = getattr(model, prior).batch_shape
    setattr(model, prior, tfc.NoisyDeepFactorized(batch_shape=channels, init_scale=1e5))
    with pytest.raises(InputError, match="65536 symbols that can be coded"):
        model.tables()
    broken = tfc.NoisyDeepFactorized(batch_shape=channels)
    broken.base.trainable_variables[0].assign(np.nan * broken.base.trainable_variables[0])
    setattr(model, prior, broken)
    with pytest.raises(InputError, match="is not finite"):
        model.tables()


def test_a_wide_prior_codes_its_symbols():
    model = drawn_model("bls2017")
    model.y_prior = tfc.NoisyDeepFactorized(batch_shape=model.y_prior.batch_shape, init_scale=100)
    tables = model.tables()
    cdf, cdf_offset = tables["y/cdf"], tables["y/cdf_offset"]
    symbols = np.random.default_rng(0).integers(-900, 900, (40, 30, 12)).astype(np.int32)
    data = range_coder.encode_channels(symbols, cdf, cdf_offset)
    np.testing.assert_array_equal(range_coder.decode_channels(data, (40, 30), cdf, cdf_offset), symbols)


def _spoil(folder, target, **changes):
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    content = json.loads((target / "model.json").read_text()) | changes
    (target / "model.json").write_text(json.dumps(content))
    return target


def test_model_folders_that_are_none_are_refused_before_tensorflow_is_needed(folders, tmp_path):
    good = folders["bls2017"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "training.json").write_text("{}")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "model.json").write_bytes(b"\xff{")
    for model, message in (
            (None, "needs a trained model"), (tmp_path / "nowhere", "no such folder"),
            (tmp_path / "empty", "no trained model"), (tmp_path / "begun", "training has not ended"),
            (tmp_path / "junk", "damaged"), (folders["bmshj2018"], "codec bmshj2018, not bls2017"),
            (_spoil(good, tmp_path / "a", num_filters=10**6), "not the description"),
            (_spoil(good, tmp_path / "b", model_hash="../../x"), "not the description"),
            (_spoil(good, tmp_path / "c", format=2), "not the description")):
        with pytest.raises(InputError, match=message):
            codecs.get("bls2017", model=model)
    with pytest.raises(InputError, match="takes no --codec_model"):
        codecs.get("jpeg", model=good)


def test_altered_weights_are_refused(folders, tmp_path):
    path = _spoil(folders["bls2017"], tmp_path / "a") / "weights.npz"
    rgb = records_data.scene(0)
    whole = path.read_bytes()
    for data in (whole[:1000], b"", whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="weights.npz"):
            codecs.get("bls2017", model=tmp_path / "a").encode(rgb, 0.01)
    path.unlink()
    with pytest.raises(InputError, match="weights.npz"):
        codecs.get("bls2017", model=tmp_path / "a").encode(rgb, 0.01)
    with pytest.raises(InputError, match="not the weights"):
        _spoil(folders["bls2017"], tmp_path / "b", num_latents=11)
        codecs.get("bls2017", model=tmp_path / "b").encode(rgb, 0.01)


def test_looking_at_a_model_imports_no_tensorflow(folders):
    code = ("import sys; from tfod_compress import codecs; codec = codecs.get('bmshj2018', model=sys.argv[1]); "
            "codec.version(); codec.settings(); codec.record_set_name(codec.check_quality(None)); "
            "assert 'tensorflow' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(folders["bmshj2018"])], cwd=ROOT, check=True)
