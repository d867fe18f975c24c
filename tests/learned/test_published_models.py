"""The codec tfci: metagraphs of the form of the published ones, found, downloaded, checked, imported and used."""

import contextlib
import functools
import http.server
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_compression as tfc
from PIL import Image

from tests import records_data
from tests.conftest import ROOT
from tests.learned import metagraphs
from tfod_compress import codecs
from tfod_compress.learned import metagraph as loader
from tfod_compress.learned import published_models
from tfod_compress.records import RecordSet, convert
from tfod_compress.support.errors import InputError

FAMILY = "tiny2018-hyperprior-mse"

pytestmark = pytest.mark.filterwarnings("ignore:codec tfci is experimental")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three models of a family: the higher the number, the finer the steps."""
    folder = tmp_path_factory.mktemp("published")
    for number, step, loops, float_picture in ((1, 16.0, "v1", False), (2, 8.0, "v2", True), (10, 4.0, "v1", True)):
        metagraphs.export(folder / f"{FAMILY}-{number}.metagraph", step, loops, float_picture)
    return folder


@pytest.fixture(scope="module")
def ready(folder):
    """The codec, its models loaded once."""
    return codecs.get("tfci", model=folder)


@pytest.fixture
def server(folder, tmp_path):
    """(address, folder that is served), with a copy of the family and its list."""
    served = tmp_path / "served"
    served.mkdir()
    for path in folder.iterdir():
        (served / path.name).write_bytes(path.read_bytes())
    (served / f"{FAMILY}.models").write_text("".join(f"{FAMILY}-{number}\n" for number in (1, 2, 10)))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}", served
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("shape", [(1, 1), (33, 130), (64, 96)])
def test_frames_come_back_finer_with_each_number(ready, shape):
    rgb = records_data.scene(1, shape[1], shape[0])
    sizes, errors = [], []
    for number in ready.qualities:
        data = ready.encode(rgb, number)
        decoded = ready.decode(data)
        assert decoded.shape == rgb.shape and decoded.dtype == np.uint8
        assert ready.encode(rgb[::-1].copy()[::-1], number) == data
        sizes.append(len(data))
        errors.append(np.abs(decoded.astype(int) - rgb).mean())
    assert ready.qualities == (1, 2, 10)
    if shape == (64, 96):
        assert sizes == sorted(sizes) and len(set(sizes)) == 3
        assert errors == sorted(errors, reverse=True) and errors[-1] < 16


def test_the_coded_file_is_the_one_of_the_library(ready):
    """PackedTensors reads what is written here, and writes what is read here."""
    rgb = records_data.scene(2, 80, 50)
    data = ready.encode(rgb, 2)
    packed = tfc.PackedTensors(data)
    assert packed.model == f"{FAMILY}-2"
    vectors = packed.unpack([tf.string, tf.string, tf.int32, tf.int32, tf.int32])
    assert [vector.numpy().tolist() for vector in vectors[2:]] == [[50, 80], [13, 20], [4, 5]]
    other = tfc.PackedTensors()
    other.model = f"{FAMILY}-2"
    other.pack(vectors)
    np.testing.assert_array_equal(ready.decode(other.string), ready.decode(data))


def test_streams_that_are_cut_off_or_of_another_kind_are_refused(ready):
    data = ready.encode(records_data.scene(3, 80, 70), 1)
    for length in range(len(data)):
        with pytest.raises(InputError, match="^tfci: "):
            ready.decode(data[:length])
    for bad in (data + b"\0", data * 2, b"TLC" + data, records_data.scene(0).tobytes()):
        with pytest.raises(InputError, match="^tfci: "):
            ready.decode(bad)


def test_altered_streams_give_a_picture_or_our_error(ready):
    data, codec = ready.encode(records_data.scene(3, 40, 30), 10), codecs.get("tfci", model=ready._given)
    codec.max_pixels = 10_000
    generator = np.random.default_rng(0)
    for _ in range(150):
        altered = bytearray(data)
        for place in generator.integers(len(data), size=1 + generator.integers(3)):
            altered[place] ^= 1 << int(generator.integers(8))
        with contextlib.suppress(InputError):
            assert codec.decode(bytes(altered)).ndim == 3


def _changed(data, number, values):
    """A coded file with another vector at a place."""
    example = tf.train.Example.FromString(data)
    feature = example.features.feature[chr(number)]
    feature.Clear()
    (feature.bytes_list if isinstance(values[0], bytes) else feature.int64_list).value.extend(values)
    return example.SerializeToString()


def test_streams_with_impossible_shapes_are_refused_before_anything_is_allocated(ready):
    data = ready.encode(records_data.scene(3, 40, 30), 1)  # side_string, string, x_shape, y_shape, z_shape
    for number, values in ((3, [2**20, 2**20]), (3, [-30, 40]), (3, [30, 2**40]), (4, [2**13, 2**13]), (3, [30] * 9),
                           (4, [20, 30]), (1, [5]), (2, [b"", b""]), (5, [0, 0]), (3, [b"30", b"40"])):
        with pytest.raises(InputError, match="^tfci: "):
            ready.decode(_changed(data, number, values))
    small = codecs.get("tfci", model=ready._given)
    small.max_pixels = 30 * 40 - 1
    with pytest.raises(InputError, match="more than 1199 pixels"):
        small.decode(data)


def test_a_stream_names_the_model_that_it_needs(ready, folder):
    data = ready.encode(records_data.scene(4), 2)
    with pytest.raises(InputError, match=f"written by another model: {FAMILY}-2, not {FAMILY}-1"):
        codecs.get("tfci", model=folder / f"{FAMILY}-1").decode(data)
    with pytest.raises(InputError, match="not a coded file"):
        ready.decode(tf.train.Example().SerializeToString())


def test_models_are_named_by_folder_family_or_file(folder, tmp_path):
    for wanted, numbers in ((folder, [1, 2, 10]), (folder / FAMILY, [1, 2, 10]), (folder / f"{FAMILY}-10", [10]),
                            (folder / f"{FAMILY}-2.metagraph", [2])):
        assert [model.number for model in published_models.find(wanted)] == numbers
    codec = codecs.get("tfci", model=folder / f"{FAMILY}-10")
    assert codec.check_quality(None) == 10
    model, = published_models.find(folder / f"{FAMILY}-10")
    assert codec.record_set_name(10) == f"tfci-{model.sha256[:8]}"
    assert codec.settings() == {"models": {f"{FAMILY}-10": model.sha256}}
    for quality in (None, 3, 2.5):
        with pytest.raises(InputError, match="there are 1, 2, 10 "):
            codecs.get("tfci", model=folder).check_quality(quality)
    (tmp_path / "other-1.metagraph").write_bytes(b"")
    (tmp_path / "hific-lo.metagraph").write_bytes(b"")
    with pytest.raises(InputError, match="several families .hific-lo, other."):
        published_models.find(tmp_path)
    assert [model.number for model in published_models.find(tmp_path / "hific-lo")] == [0]
    (tmp_path / "empty").mkdir()
    for wanted in (tmp_path / "empty", tmp_path / "missing", tmp_path / "empty" / "x-1"):
        with pytest.raises(InputError, match="no .metagraph file"):
            published_models.find(wanted)
    for wanted in ("../etc/passwd-1", "a b", "/x/y/z-1", "x" * 200, ""):
        with pytest.raises(InputError, match="no name of a published model|no .metagraph file"):
            published_models.find(wanted, address="http://127.0.0.1:9")
    (tmp_path / "empty" / "x-1.metagraph").write_bytes(b"")
    (tmp_path / "empty" / "x-01.metagraph").write_bytes(b"")
    with pytest.raises(InputError, match="same number"):
        published_models.find(tmp_path / "empty")


def test_a_published_family_is_downloaded_once_and_may_not_change(server, tmp_path):
    address, served = server
    cache = tmp_path / "cache"
    models = published_models.find(FAMILY, address, cache)
    assert [model.number for model in models] == [1, 2, 10]
    assert models[0].path.read_bytes() == (served / f"{FAMILY}-1.metagraph").read_bytes()
    single = published_models.find(f"{FAMILY}-2", "http://127.0.0.1:9", cache)  # nobody is asked
    assert single == [models[1]]
    loader.PictureCoder(models[1])
    path = models[0].path
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"an earlier download had .*sha256\.json"):
        published_models.find(FAMILY, address, cache)
    assert not path.exists()
    assert published_models.find(FAMILY, address, cache) == models  # the true one is on the server
    path.unlink()
    (served / path.name).write_bytes(b"another file")
    with pytest.raises(InputError, match="an earlier download had"):
        published_models.find(FAMILY, address, cache)


def test_downloads_that_are_not_there_or_list_something_else_are_told(server, tmp_path):
    address, served = server
    with pytest.raises(InputError, match="404.*--codec_model"):
        published_models.find("nothing-2", address, tmp_path / "a")
    with pytest.raises(InputError, match="404.*--codec_model"):
        published_models.find("nothing", address, tmp_path / "b")
    with pytest.raises(InputError, match="the download failed"):
        published_models.find("nothing", "http://127.0.0.1:9", tmp_path / "c")
    (served / "single.metagraph").write_bytes((served / f"{FAMILY}-1.metagraph").read_bytes())
    assert [model.number for model in published_models.find("single", address, tmp_path / "d")] == [0]
    for number, text in enumerate(("0.01 32\n", "../../x-1\n", "", "other-1\n", "\xff-1")):
        (served / "listed.models").write_text(text, "latin-1")
        with pytest.raises(InputError, match="does not list models of the family listed"):
            published_models.find("listed", address, tmp_path / f"e{number}")
    (served / "listed.models").write_bytes(b"listed-1\n" * 10_000)
    with pytest.raises(InputError, match="no such file has more than"):
        published_models.find("listed", address, tmp_path / "f")


def _with_node(metagraph, op, function=None, **attributes):
    """The metagraph with one more operation, in the graph or in the first function whose name has `function`."""
    changed = tf.compat.v1.MetaGraphDef()
    changed.CopyFrom(metagraph)
    nodes = changed.graph_def.node if function is None else next(
        each for each in changed.graph_def.library.function if function in each.signature.name).node_def
    node = nodes.add(name="intruder", op=op)
    for name, value in attributes.items():
        node.attr[name].CopyFrom(value)
    return changed


@pytest.mark.parametrize("op", ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "SaveV2", "PrintV2", "VarHandleOp",
                                "Send", "RemoteCall", "RandomUniform", "NoSuchOperation"])
def test_operations_that_are_no_arithmetic_are_refused(tmp_path, op):
    path = tmp_path / "hostile-1.metagraph"
    metagraph = metagraphs.export(path, loops="v2")
    for function in (None, "while_body"):
        metagraphs.write(path, _with_node(metagraph, op, function))
        with pytest.raises(InputError, match=rf"hostile-1\.metagraph: has the operation {op} \(intruder\).*refused"):
            codecs.get("tfci", model=path).encode(records_data.scene(0), 1)


def test_a_graph_that_would_write_a_file_does_not(tmp_path):
    """One whose sender really writes, if it is run as it stands."""
    path, target = tmp_path / "hostile-1.metagraph", tmp_path / "written"
    metagraph = metagraphs.export(tmp_path / "good-1.metagraph")
    with tf.Graph().as_default() as graph:
        tf.compat.v1.train.import_meta_graph(metagraph)
        output = graph.as_graph_element(metagraph.signature_def["sender"].outputs["string"].name)
        with tf.control_dependencies([tf.io.write_file(str(target), "x")]):
            wrapped = tf.identity(output)
        hostile = tf.compat.v1.train.export_meta_graph(graph=graph)
        for name, signature in metagraph.signature_def.items():
            hostile.signature_def[name].CopyFrom(signature)
        hostile.signature_def["sender"].outputs["string"].CopyFrom(metagraphs.info(wrapped))
        feed = graph.as_graph_element(metagraph.signature_def["sender"].inputs["picture"].name)
        with tf.compat.v1.Session(graph=graph) as session:
            session.run(wrapped, {feed: records_data.scene(0)[np.newaxis]})
    assert target.exists()
    target.unlink()
    metagraphs.write(path, hostile)
    with pytest.raises(InputError, match="WriteFile"):
        codecs.get("tfci", model=path).encode(records_data.scene(0), 1)
    assert not target.exists()


def test_calls_of_unknown_functions_and_absurd_constants_are_refused(tmp_path):
    path = tmp_path / "hostile-1.metagraph"
    metagraph = metagraphs.export(path)
    call = tf.compat.v1.AttrValue()
    call.func.name = "somewhere_else"
    metagraphs.write(path, _with_node(metagraph, "PartitionedCall", f=call))
    with pytest.raises(InputError, match="intruder .PartitionedCall. calls a function that is not in the file"):
        codecs.get("tfci", model=path).encode(records_data.scene(0), 1)
    for sides in ([2**40], [2**20, 2**20], [-1, 2]):
        value = tf.compat.v1.AttrValue()
        value.tensor.dtype = tf.float32.as_datatype_enum
        value.tensor.float_val.append(0.0)
        for side in sides:
            value.tensor.tensor_shape.dim.add(size=side)
        metagraphs.write(path, _with_node(metagraph, "Const", value=value))
        with pytest.raises(InputError, match="constants are larger than the file can be, at intruder"):
            codecs.get("tfci", model=path).encode(records_data.scene(0), 1)


def test_files_that_are_no_metagraph_of_a_codec_are_refused(tmp_path):
    path = tmp_path / "bad-1.metagraph"
    metagraph = metagraphs.export(path)
    whole = path.read_bytes()

    def refused(message):
        with pytest.raises(InputError, match=rf"bad-1\.metagraph: .*{message}"):
            codecs.get("tfci", model=path).encode(records_data.scene(0), 1)

    for data in (b"", b"not a metagraph", whole[:1000], whole[:-1], whole[len(whole) // 2:]):
        path.write_bytes(data)
        refused("(no metagraph|has no signature|cannot be imported)")
    for name in ("sender", "receiver"):
        changed = tf.compat.v1.MetaGraphDef.FromString(whole)
        del changed.signature_def[name]
        metagraphs.write(path, changed)
        refused(f"has no signature '{name}'")
    changed = tf.compat.v1.MetaGraphDef.FromString(whole)
    changed.signature_def["sender"].inputs["rd_parameter"].CopyFrom(metagraph.signature_def["sender"].inputs["picture"])
    metagraphs.write(path, changed)
    refused("rate-distortion parameter")
    changed = tf.compat.v1.MetaGraphDef.FromString(whole)
    del changed.signature_def["receiver"].inputs["z_shape"]
    metagraphs.write(path, changed)
    refused("signatures are not those of a codec: 1 tensors to 5, 4 to 1")
    changed = tf.compat.v1.MetaGraphDef.FromString(whole)
    changed.signature_def["receiver"].outputs["picture"].name = "nowhere:0"
    metagraphs.write(path, changed)
    refused("cannot be imported")
    path.write_bytes(whole)
    codec = codecs.get("tfci", model=path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="was replaced while it was in use"):
        codec.encode(records_data.scene(0), 1)


def test_functions_of_two_files_may_have_the_same_names(tmp_path):
    metagraph = metagraphs.export(tmp_path / "same-1.metagraph", loops="v2")
    other = tf.compat.v1.MetaGraphDef()
    other.CopyFrom(metagraph)
    for function in other.graph_def.library.function:
        function.node_def.add(name="unused", op="NoOp")
    metagraphs.write(tmp_path / "same-2.metagraph", other)
    rgb, codec = records_data.scene(6), codecs.get("tfci", model=tmp_path)
    first, second = (codec.decode(codec.encode(rgb, number)) for number in (1, 2))
    np.testing.assert_array_equal(first, second)


def test_devices_of_the_training_machine_are_forgotten(tmp_path):
    path = tmp_path / "trained-1.metagraph"
    metagraph = metagraphs.export(path)
    for node in metagraph.graph_def.node:
        node.device = "/job:worker/task:3/device:TPU:7"
    metagraphs.write(path, metagraph)
    codec, rgb = codecs.get("tfci", model=path), records_data.scene(0)
    assert codec.decode(codec.encode(rgb, 1)).shape == rgb.shape


def test_the_codec_says_that_it_is_experimental(folder):
    with pytest.warns(UserWarning, match="experimental"):
        codecs.get("tfci", model=folder)
    assert "experimental" in codecs.about("tfci").about
    with pytest.raises(InputError, match="needs a trained model.*published"):
        codecs.get("tfci")


def test_a_published_model_makes_record_sets_like_any_codec(folder, tmp_path):
    data = records_data.make(tmp_path / "data", width=72, height=50)
    made, = convert(data / "frames", data / "labels", tmp_path / "sets", codec="tfci", codec_model=str(folder),
                    qualities=[2], workers_count=1, measure="all", split_by=r"^(seq\d+)/")
    record_set, codec = RecordSet(made.path), codecs.get("tfci", model=folder)
    assert made.path.name == codec.record_set_name(2)
    for example in record_set.examples("val"):
        data = codec.encode(np.asarray(Image.open(tmp_path / "data" / "frames" / f"{example.source_id}.bmp")), 2)
        np.testing.assert_array_equal(example.pixels(), codec.decode(data))
        assert example.compressed_bytes == len(data)


def test_the_command_codes_and_decodes_in_other_processes(folder, run_tool, tmp_path):
    Image.fromarray(records_data.scene(5, 90, 61)).save(tmp_path / "in.png")
    options = ["--codec", "tfci", "--codec_model", folder]
    done = run_tool("codec", "encode", *options, "--quality", 10, tmp_path / "in.png", tmp_path / "out.tfci")
    assert done.returncode == 0 and "experimental" in done.stderr, done.stderr
    done = run_tool("codec", "decode", *options, tmp_path / "out.tfci", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    decoded = np.asarray(Image.open(tmp_path / "out.png"))
    codec = codecs.get("tfci", model=folder)
    np.testing.assert_array_equal(decoded, codec.decode((tmp_path / "out.tfci").read_bytes()))
    done = run_tool("codec", "decode", "--codec", "tfci", "--codec_model", tmp_path, tmp_path / "out.tfci",
                    tmp_path / "none.png")
    assert done.returncode == 1 and "no .metagraph file" in done.stderr and not (tmp_path / "none.png").exists()


def test_looking_at_a_model_imports_no_tensorflow(folder):
    code = ("import sys; from tfod_compress import codecs; codec = codecs.get('tfci', model=sys.argv[1]); "
            "codec.version(); codec.settings(); codec.record_set_name(codec.check_quality(2)); "
            "assert 'tensorflow' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True)
