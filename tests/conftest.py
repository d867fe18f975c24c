"""What several tests need: the project's root, real frames where there are any, a way to run a command."""

import pathlib
import subprocess
import sys
import warnings

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONGEST = ("test_training.py", "test_study_execution.py", "test_codec_tuning.py", "test_conversion.py",
           "test_extractors.py", "test_export.py", "test_evaluation.py", "test_tf2_archives.py",
           "test_study_classifiers.py", "test_codec_before_classifier.py")


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that of `make test`'s two processes none ends with one of them."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real frames beside a development checkout; tests that need it are skipped elsewhere."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real frames are not here ({folder.name} folder beside the checkout)")
    return folder


@pytest.fixture(scope="session")
def run_tool():
    """Runs `python -m tools.NAME ARGS…` from the project's root; returns the finished process."""

    def run(name, *arguments, timeout=600, cwd=ROOT):
        command = [sys.executable, "-m", f"tools.{name}", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def demo_records(tmp_path_factory, run_tool):
    """A folder with the record sets jpeg-q100 and jpeg-q5 of 40 synthetic frames of 256x160."""
    folder = tmp_path_factory.mktemp("demo")
    for tool, arguments in (
            ("make_demo_frames", ["--output", folder / "data", "--count", 40, "--size", "256x160", "--broken", 1]),
            ("make_tfrecords", ["--frames", folder / "data/frames", "--labels", folder / "data/labels",
                                "--quality", "100,5", "--split_by", r"^(seq\d+)/", "--val_fraction", 0.3,
                                "--output", folder / "tfrecords"])):
        process = run_tool(tool, *arguments)
        assert process.returncode == 0, process.stdout + process.stderr
    return folder / "tfrecords"


@pytest.fixture(autouse=True)
def _keras_as_it_starts():
    """Training leaves Keras's phase, one for the whole process, behind: no test hands it on to the next."""
    yield
    if "keras" in sys.modules:
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, and the only way
            tf.keras.backend.set_learning_phase(False)
