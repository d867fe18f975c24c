"""What README and docs/ print is true: commands run or at least parse, links and pictures lead somewhere."""

import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import cv2
import pytest

from tests import report_study, tiny_classes
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "WORKSPACE.md", ROOT / "tfrecords" / "README.md"]
LANGUAGES = ("sh", "python", "yaml", "json", "text")
PROGRAMS = ("python", "pytest", "model_main_tf2.py", "make", "tensorboard", "compressai/bin/pip")
OF_OTHERS = (  # programs that are not ours: these very lines are known to be right
    "tensorboard --logdir runs", "tensorboard --logdir runs/lmu/tensorboard", "python -m venv compressai",
    "compressai/bin/pip install compressai", "python brightness/draw.py")
OTHER_FLAGS = {"--help", "--no-deps", "--weights"}  # of all commands, of pip, of a script of the reader's own
STARTS = re.compile(r"\s*(\$ )?(python|pytest|model_main_tf2\.py|make|tensorboard)\s+(-|[a-z])")
OPTIONS = {"-m": 1, "-k": 1, "-n": 1, "-q": 0}  # of pytest, with how many words follow

# A reader who tries the pages, each in a folder of its own that `visit` makes.
DATA = "python -m tools.make_demo_frames --count 100 --size 256x160"
COMMANDS = {
    "readme": ["python -m tools.make_tfrecords --quality 100,20,5 --sequence_by '^(seq\\d+)/'",
               "python -m tools.inspect_records tfrecords/jpeg-q20",
               "python -m tools.make_pipeline_config --detector ssd_inception_v2_300 --records tfrecords/jpeg-q20 "
               "--output runs/ssd-q20.config"],
    "own data": ["python -m tools.make_tfrecords --quality 20",
                 "python -m tools.inspect_records tfrecords/jpeg-q20 --gallery pictures"],
    "own classes": ["python -m tools.make_tfrecords --frames frames --labels labels --label_map auto --quality "
                    "100,20,5",
                    "python -m tools.make_pipeline_config --detector ssd_inception_v2_demo --records "
                    "tfrecords/jpeg-q100 --set 'train_config.num_steps: 20' --output runs/mine.config",
                    "python -m tools.export_frames tfrecords/jpeg-q5 --output frames/jpeg-q5",
                    "python -m tools.evaluate --model_command 'python hog.py {frames} {output}' "
                    "--detector_label_map hog.pbtxt --records tfrecords/jpeg-q100 --records tfrecords/jpeg-q5 "
                    "--output runs/hog"],
    "own classifier": ["python -m tools.make_tfrecords --task classification --frames signs --quality 90,5 --output "
                       "tfrecords/signs",
                       "python -m tools.export_frames tfrecords/signs/jpeg-q90 --split train --output frames/signs",
                       "python -m tools.evaluate --model_command 'python colour.py frames/signs {frames} {output}' "
                       "--records tfrecords/signs/jpeg-q90 --records tfrecords/signs/jpeg-q5 --output runs/colour",
                       "python -m tools.compare runs/colour/jpeg-q5/predictions.json "
                       "runs/colour/jpeg-q90/predictions.json --ground_truth tfrecords/signs/jpeg-q5"],
    "codecs": ["python -m tools.codec list",
               "python -m tools.codec encode --codec webp --quality 50 picture.png picture.webp",
               "python -m tools.codec decode --codec webp picture.webp decoded.png",
               "python -m tools.codec bench pictures --codecs jpeg,webp --quality 5,50,95 --output runs/rd",
               "python -m tools.make_tfrecords --codec hevc444 --quality 22,32,42",
               "python -m tools.make_tfrecords --codec h264 --quality 23,25,30,40,50 --sequence_by '^(seq\\d+)/'"]}
COMPARE = ("python -m tools.compare runs/a/jpeg-q5/detections.json runs/b/jpeg-q5/detections.json --ground_truth "
           "tfrecords/jpeg-q5 --margin 5%")
STUDIES = ["python -m tools.make_report runs/demo --margin 0.01 --cars 200 --price_per_tb_month 20",
           "python -m tools.compare_studies runs/demo runs/demo-1"]
BENCHMARKS = ["python -m benchmarks.intervals"]
MINUTES = {  # what is run by `make test-slow`, with something that it prints
    "python -m tools.run_study pipeline_configs/studies/own_classes.yaml --workdir runs/mine --frames frames --labels "
    "labels": "report: runs/mine/report.html",
    "python -m benchmarks.parameters": "multiply-adds",
    "python -m tools.codec bench pictures --codecs vvc:preset=slow,avif444:speed=0 --output runs/rd": "rows in"}
NOT_RUN = {  # why: what such a command says
    "frames, models or scripts of the reader's, or from elsewhere":
        r"KODAK|GTSRB|COCO128|coco128/|VOC2007|kitti|DIR|detect\.py|--frames images|"
        r"published.yaml --workdir \S+ --frames|fetch_checkpoint|--zoo|checkpoints/|msssim|runs/best|instances_val|"
        r"compressai|exported/|"
        r"runs/ssd-q20.config --model_dir|_path F|_config F|tensorboard",
    "takes more than a minute":
        r"^make (demo|test)|end_to_end_demo|--target_bpp|"
        r"benchmarks\.(codecs|training|evaluation|make_tfrecords|kodak|unchanged)|train_codec|--scale smoke",
    "run by tests/tasks/test_adding_a_task.py": r"brightness",
    "of what such a command leaves": r"--codec_model runs/|runs/mine.config --(model_dir|checkpoint)"}


@functools.cache
def blocks(path):
    """[(language, text)] of a page's fenced blocks."""
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language.strip(), text) for language, text in found]


@functools.cache
def prose(path):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def words_of(script, folder):
    """[[word]]: the commands that a shell would start; it is bash itself that takes the script apart.

    The programs that it finds only note how they were called, so an unknown one, or bad syntax, ends it.
    """
    programs, notes = folder / "programs", folder / "notes"
    for name in PROGRAMS:
        path = folder / name if "/" in name else programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!{shutil.which("bash")}\nprintf "%s\\0" {name} "$@" >> {notes}\n'
                        f'printf "\\1\\0" >> {notes}\n')
        path.chmod(0o755)
    (programs / "cat").symlink_to(shutil.which("cat"))
    (folder / "path/to/kitti").mkdir(parents=True)
    process = subprocess.run(
        [shutil.which("bash"), "-eu", "-c", script.replace("/path/to", f"{folder}/path/to")], cwd=folder,
        env={"PATH": str(programs)}, capture_output=True, text=True)
    assert process.returncode == 0, f"{process.stderr}\nis not known to this test, in:\n{script}"
    calls = notes.read_text().split("\1\0") if notes.exists() else []
    return [call.split("\0")[:-1] for call in calls if call]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """{command as one line: its words} of all pages."""
    found = {}
    for path in PAGES:
        for language, text in blocks(path):
            if language == "sh":
                for words in words_of(text, tmp_path_factory.mktemp("shell")):
                    found[shlex.join(words)] = words
    assert len(found) > 50
    return found


def flags_problems(asked):
    """[problem or None] of [(module, arguments, whether they are a whole command)]; see printed_flags."""
    process = subprocess.run([sys.executable, "-m", "tests.printed_flags"], input=json.dumps(asked), cwd=ROOT,
                             capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def module_of(words):
    """(module, its arguments) of a command of ours that absl parses, or None."""
    if words[0] == "model_main_tf2.py":
        return "tools.model_main_tf2", words[1:]
    if words[:2] == ["python", "-m"] and words[2].startswith(("tools.", "benchmarks.")):
        return words[2], words[3:]
    return None


def other_problem(words):
    """What is wrong with a command that is not of ours, or None; one that this does not know is wrong."""
    if shlex.join(words) in OF_OTHERS:
        return None
    if words[:2] == ["python", "-c"]:
        compile(words[2], "printed", "exec")
        return None
    if words[0] == "make":
        return make_problem(words[1:])
    if words[:3] == ["python", "-m", "pytest"] or words[0] == "pytest":
        return pytest_problem(words[3 if words[0] == "python" else 1:])
    return "this test neither runs nor understands it"


def make_problem(words):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, equals, _ = word.partition("=")
        known = rf"^{re.escape(name)} \?=" if equals else rf"^{re.escape(name)}:"
        if not re.search(known, makefile, re.MULTILINE):
            return f"the Makefile has no {name}"
    return None


def pytest_problem(words):
    words = list(words)
    while words:
        word = words.pop(0)
        if word in OPTIONS:
            del words[:OPTIONS[word]]
            continue
        path, _, test = word.partition("::")
        if not (ROOT / path).exists():
            return f"there is no {path}"
        if test and f"def {test.partition('[')[0]}(" not in (ROOT / path).read_text(encoding="utf-8"):
            return f"{path} has no {test}"
    return None


def missing_file(words):
    """A file of the repository that a command names and that is not there, or None."""
    named = [word for word in words if re.match(r"(pipeline_configs|tests|docs|benchmarks|tools)/", word)]
    return next((f"there is no {word}" for word in named if not (ROOT / word).exists()), None)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_says_what_it_is_and_no_command_hides(path):
    assert path.read_text(encoding="utf-8").count("\n```") % 2 == 0
    for language, text in blocks(path):
        assert language in LANGUAGES, f"a block of {language or 'no language'}:\n{text}"
        if language == "python":
            compile(text, str(path), "exec")
        elif language in ("text", "json"):
            # What a study prints of its commands is indented, and shortened.
            hidden = [line for line in text.splitlines() if STARTS.match(line) and not line.endswith("...")]
            assert not hidden, f"a command, printed as {language}: {hidden}"


def test_every_printed_command_parses(printed):
    ours = {text: module_of(words) for text, words in printed.items()}
    asked = [(*call, True) for call in ours.values() if call]
    problems = dict(zip([text for text, call in ours.items() if call], flags_problems(asked), strict=True))
    problems |= {text: other_problem(printed[text]) for text, call in ours.items() if not call}
    wrong = {text: problem or missing_file(printed[text]) for text, problem in problems.items()}
    wrong = [f"{text}\n    {problem}" for text, problem in wrong.items() if problem]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_flags_within_sentences_exist(path):
    sources = [*(ROOT / "tools").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    known = {f"--{name}" for file in sources
             for kind, flag in re.findall(r'DEFINE_(\w+)\(\s*"(\w+)"', file.read_text(encoding="utf-8"))
             for name in ([flag, f"no{flag}"] if kind == "bool" else [flag])}
    asked, wrong = [], []
    for code in re.findall(r"`([^`\n]+)`", prose(path)):
        code = code.replace("\\|", "|")
        try:
            words = shlex.split(code)
        except ValueError:  # a word with an apostrophe, and no command
            assert not STARTS.match(code), code
            continue
        if re.match(r"(tools|benchmarks)\.\w+ -", code):
            words = ["python", "-m", *words]
        if STARTS.match(shlex.join(words)) and "tools.NAME" not in words:
            if call := module_of(words):
                asked.append((*call, False))
            elif problem := other_problem(words):
                wrong.append(f"{code}: {problem}")
        elif (flag := words[0]).startswith("--") and flag not in known | OTHER_FLAGS:
            wrong.append(f"no command has {flag}")
    wrong += [problem for problem in flags_problems(asked) if problem]
    assert not wrong, "\n".join(wrong)


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(path):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or ROOT not in [file, *file.parents]:
            wrong.append(f"{target}: no such file")
        elif anchor and anchor not in [slug(line.lstrip("#")) for line in prose(file).splitlines()
                                       if line.startswith("#")]:
            wrong.append(f"{target}: no such heading")
    assert not wrong, "\n".join(wrong)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in PAGES[1:] if path.name != "README.md" and f"]({path.name})" not in index] == []


def test_every_command_and_study_is_in_its_table():
    commands, studies = prose(ROOT / "README.md"), prose(ROOT / "docs" / "studies.md")
    tools = {path.stem for path in (ROOT / "tools").glob("*.py")} - {"__init__", "command"}
    tools = {name for name in tools if not name.endswith("_flags")}
    assert [tool for tool in tools if f"`python -m tools.{tool}" not in commands] == []
    files = (ROOT / "pipeline_configs" / "studies").glob("*.yaml")
    assert [path.name for path in files if f"`{path.name}`" not in studies] == []


def test_workspace_names_the_rooms_and_what_lies_in_them():
    library = ROOT / "tfod_compress"
    rows = re.findall(r"^\| `([\w/]+)/` \|(.*)\|$", prose(ROOT / "WORKSPACE.md").partition("## The rooms")[2],
                      re.MULTILINE)
    packages = {path.parent.name for path in library.glob("*/__init__.py")}
    assert {room.partition("/")[0] for room, _ in rows} == packages
    named = [library / room / name for room, text in rows for name in re.findall(r"`(\w+(?:\.py|/))`", text)]
    assert [str(path) for path in named if not path.exists()] == []


def run(text, folder, printed):
    """Runs a printed command in a folder; returns what it wrote."""
    assert text in printed, f"printed nowhere: {text}"
    words = {"python": [sys.executable], "model_main_tf2.py": [sys.executable, "-m", "tools.model_main_tf2"]}
    command = [*words.get(printed[text][0], [printed[text][0]]), *printed[text][1:]]
    process = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT),
             "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    assert process.returncode == 0, f"{text}\n{process.stdout}{process.stderr}"
    return process.stdout


@pytest.fixture(scope="module")
def visit(printed, tmp_path_factory):
    """Makes a folder as a reader has it: the printed demo frames in data/, some pictures, the pages' own files."""
    first = tmp_path_factory.mktemp("first")
    run(DATA, first, printed)
    outside = blocks(ROOT / "docs" / "outside_detectors.md")

    def made(sequences=None):
        folder = tmp_path_factory.mktemp("reader")
        for kind in ("frames", "labels"):
            (folder / "data" / kind).mkdir(parents=True)
            # The damaged frames lie in the first sequences: the last ones are whole.
            for path in sorted((first / "data" / kind).iterdir())[-sequences if sequences else None:]:
                shutil.copytree(path, folder / "data" / kind / path.name)
            shutil.copytree(folder / "data" / kind, folder / kind)
        (folder / "pipeline_configs").symlink_to(ROOT / "pipeline_configs")
        frame = cv2.imread(str(next(folder.glob("data/frames/*/*9.bmp"))))
        (folder / "pictures").mkdir()
        for path in (folder / "picture.png", folder / "pictures/one.png"):
            cv2.imwrite(str(path), frame)
        (folder / "hog.py").write_text(next(text for _, text in outside if "HOGDescriptor" in text))
        (folder / "hog.pbtxt").write_text(next(text for _, text in outside if text.startswith("item")))
        return folder

    return made


@pytest.mark.parametrize(("page", "sequences"), [("readme", None), ("own data", None), ("codecs", 4)])
def test_pages_commands_run(printed, visit, page, sequences):
    folder = visit(sequences)
    for text in COMMANDS[page]:
        run(text, folder, printed)
    assert list(folder.glob("tfrecords/*/manifest.json"))


def test_own_classes_and_an_outside_detector_run(printed, visit):
    folder = visit()
    *_, measured = [run(text, folder, printed) for text in COMMANDS["own classes"]]
    assert "jpeg-q100" in measured and "jpeg-q5" in measured
    assert (folder / "frames/jpeg-q5/images.json").is_file()
    for name in "ab":
        shutil.copytree(folder / "runs/hog/jpeg-q5", folder / "runs" / name / "jpeg-q5")
    assert "weighted_map" in run(COMPARE, folder, printed)


def test_an_outside_classifier_runs(printed, tmp_path):
    page = blocks(ROOT / "docs" / "outside_detectors.md")
    (tmp_path / "colour.py").write_text(next(text for _, text in page if "def colours" in text))
    for source_id, _, rgb in tiny_classes.pictures(30):
        path = tmp_path / "signs" / f"{source_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rgb[..., ::-1])
    *_, measured, compared = [run(text, tmp_path, printed) for text in COMMANDS["own classifier"]]
    assert "top-1" in measured and "jpeg-q5" in measured and "mean_class_accuracy" in compared
    result = json.loads((tmp_path / "runs/colour/jpeg-q90/metrics.json").read_text())
    assert result["top1"]["value"] == 1  # each class has a colour, and the program knows it


def test_study_pages_commands_run(printed, tmp_path):
    for name in ("demo", "demo-1"):
        report_study.write(tmp_path / "runs" / name)
    report, compared = (run(text, tmp_path, printed) for text in STUDIES)
    assert "report: runs/demo/report.html" in report and "points that both have" in compared


def test_printed_dry_runs_run(printed, tmp_path):
    (tmp_path / "pipeline_configs").symlink_to(ROOT / "pipeline_configs")
    texts = [text for text in printed if text.endswith("--dry_run")]
    assert len(texts) >= 7
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for text, shown in zip(texts, pool.map(lambda text: run(text, tmp_path, printed), texts), strict=True):
            assert "missing  records" in shown or "missing  evaluate" in shown, text
    assert not (tmp_path / "runs").exists()


def test_make_help_names_the_printed_targets(printed):
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {words[1] for words in printed.values() if words[0] == "make"}
    assert targets and all(f"make {target} " in shown for target in targets)


@pytest.mark.parametrize("text", BENCHMARKS)
def test_benchmarks_run(printed, tmp_path, text):
    assert run(text, tmp_path, printed)


def test_what_is_not_run_has_a_reason(printed):
    ran = {DATA, COMPARE, *STUDIES, *BENCHMARKS, *MINUTES, *(text for texts in COMMANDS.values() for text in texts)}
    reasons = "|".join(NOT_RUN.values())
    assert [text for text in printed
            if text not in ran and not text.endswith("--dry_run") and not re.search(reasons, text)] == []


@pytest.mark.slow
@pytest.mark.parametrize("text", MINUTES)
def test_commands_of_minutes_run(printed, visit, text):
    assert MINUTES[text] in run(text, visit(), printed)
