"""Run what is missing of a study: one node after another, or several at once.

A failing node does not stop the others; what needs it is left out. Several runs may work on one folder, each on its
slice: a node is held by a lock while it runs, and by its stamp afterwards.
"""

import os
import pathlib
import signal
import subprocess
import time

import yaml

from tfod_compress import tasks
from tfod_compress.labels import label_map
from tfod_compress.labels.classes import AUTO
from tfod_compress.study import one_split, stamps
from tfod_compress.study.estimates import describe
from tfod_compress.study.graph import chosen, graph
from tfod_compress.study.regimes import PUBLISHED
from tfod_compress.study.results import write_results
from tfod_compress.support import locks
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.processes import end_with_parent, interrupted_by_signals

TICK_SECONDS = 0.1
TAIL_LINES = 12  # of a failed node's log


def run(study, workdir, *, dry_run=False, points=None, jobs=1, say=print):
    """Runs what is missing of a study and writes results.json.

    Args:
      study: schema.Study.
      workdir: the study's folder.
      dry_run: print the graph, run nothing.
      points: (index from 1, count): only that slice of the models, with all that they need; None for all.
      jobs: how many nodes may run at once; with GPUs each has one of its own.
      say: called with each line for the user.

    Returns:
      [line]: what was not done, each with its reason.

    Raises:
      InputError: the folder holds results of a study with other settings; frames are not named; more jobs than GPUs.
    """
    workdir = pathlib.Path(workdir)
    nodes = everything = graph(study, workdir)
    if points:
        nodes = chosen(nodes, study, *points)
    digests = stamps.digests(everything)
    if dry_run:
        for line in describe(study, workdir, nodes, digests):
            say(line)
        return []
    if not study.data.make and not study.data.frames:
        both = "--frames and --labels, or set them" if tasks.get(study.task).labels else "--frames, or set it"
        raise InputError(f"the study names no frames: give {both} in its data; --scale smoke makes its own")
    named = (study.data.label_map, study.data.class_map, study.data.names)
    for path in filter(None, (study.data.frames, study.data.labels, *named)):
        if path in named and path in (AUTO, *label_map.shipped()):
            continue
        if not pathlib.Path(path).exists():
            raise InputError(f"{path}: no such file or folder; it is named by the study's data")
    _check_there(study)
    slots = _slots(jobs, say)
    for node in nodes:
        stamps.read(workdir, node, digests[node.name])  # other settings are told before anything runs
    if any(node.name.startswith("train ") and stamps.missing(node) for node in nodes):
        study.kind.check_trainings(study)
    workdir.mkdir(parents=True, exist_ok=True)
    with atomic_file(workdir / "study.yaml", "w") as file:
        yaml.safe_dump(study.model_dump(mode="json"), file, sort_keys=False)
    problems = _Run(nodes, workdir, digests, slots, say).all()
    while True:
        with locks.held(stamps.lock_path(workdir, "results")) as held:
            if held is not None:
                write_results(study, workdir, everything, problems)
                return problems
        time.sleep(TICK_SECONDS)


def _check_there(study):
    """Raises InputError where a model that is taken as it is, and not fetched, is not there."""
    for entry in study.detectors:
        if PUBLISHED in study.regimes_of(entry):
            try:
                study.kind.check_there(entry)
            except InputError as error:
                raise InputError(f"{tasks.get(study.task).model} {entry.name}: {error}") from error


def _slots(jobs, say):
    """[CUDA_VISIBLE_DEVICES or None]: what each of the jobs that run at once gets."""
    if jobs == 1:
        return [None]
    gpus = visible_gpus()
    if gpus and jobs > len(gpus):
        raise InputError(f"--jobs {jobs}: there are {len(gpus)} GPUs, and each job needs its own")
    if not gpus:
        say(f"no GPU: {jobs} jobs share the {len(os.sched_getaffinity(0))} cores")
    return gpus[:jobs] or [None] * jobs


def visible_gpus():
    """[text for CUDA_VISIBLE_DEVICES] of each GPU that this process may use; asks neither CUDA nor TensorFlow."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [part.strip() for part in named.split(",") if part.strip() not in ("", "-1")]
    try:
        found = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in found.stdout.splitlines() if line.startswith("GPU ")] if not found.returncode else []
    return [str(index) for index in range(len(lines))]


class _Job:
    """A node that is running."""

    def __init__(self, node, items, process, lock, slot, attempts, log):
        self.node, self.items, self.process, self.lock, self.slot = node, items, process, lock, slot
        self.attempts, self.log, self.began = attempts, log, time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self.began


class _Run:
    """One pass over the nodes."""

    def __init__(self, nodes, workdir, digests, slots, say):
        self._nodes, self._workdir, self._digests, self._say = nodes, workdir, digests, say
        self._free, self._alone = list(slots), len(slots) == 1
        self._done, self._problems, self._jobs, self._waiting = set(), {}, [], set()
        self._left_out = []

    def all(self):
        """Runs all; returns [line] of what was not done."""
        left = list(self._nodes)
        with interrupted_by_signals():
            try:
                while left or self._jobs:
                    left = [node for node in left if not self._settled(node)]
                    self._reap()
                    if left or self._jobs:
                        time.sleep(TICK_SECONDS)
            except BaseException:
                self._stop()
                raise
        return [*self._problems.values(), *self._left_out]

    def _settled(self, node):
        """Whether a node needs no more looking at: done, left out, or started now."""
        failed = next((name for name in node.needs if name in self._problems), None)
        if failed:
            self._fail(node, f"left out, because {failed!r} failed")
            return True
        around = {*node.needs, *(item.needs for item in node.items if item.needs)}
        if not around <= self._done | set(self._problems):
            return False
        items = tuple(item for item in node.items if item.needs not in self._problems)
        if self._is_done(node, items):
            self._finish(node, items)
            return True
        if node.items and not items:
            self._fail(node, "left out, because all that it is about failed")
            return True
        parted = one_split.apart(item.value for item in items) if node.tool == "evaluate" else None
        if parted:
            self._fail(node, parted)
            return True
        if not self._free:
            return False
        lock = locks.acquire(stamps.lock_path(self._workdir, node.name))
        if lock is None:
            if node.name not in self._waiting:
                self._waiting.add(node.name)
                self._say(f"{self._title(node)}: another run does this; waiting")
            return False
        if self._is_done(node, items):  # by another run, meanwhile
            os.close(lock)
            self._finish(node, items)
            return True
        self._start(node, items, lock)
        return True

    def _is_done(self, node, items):
        if stamps.read(self._workdir, node, self._digests[node.name]) is None:
            return False
        left = stamps.missing(node)
        return not (set(left) & set(items) if node.items else left)

    def _start(self, node, items, lock):
        text = node.text_of(items)
        self._say(f"{self._title(node)}\n  {text}")
        slot = self._free.pop(0)
        environment = dict(os.environ) if slot is None else {**os.environ, "CUDA_VISIBLE_DEVICES": slot}
        attempts = stamps.Attempts(self._workdir, node)
        attempts.begin()
        # A session of its own: Ctrl-C is ours to pass on, once. A second signal would end training unsaved.
        settings = {"env": environment, "pass_fds": (lock,), "start_new_session": True, "preexec_fn": end_with_parent}
        if self._alone:
            log, process = None, subprocess.Popen(node.command_of(items), **settings)
        else:
            log = stamps.log_path(self._workdir, node)
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "wb") as file:
                process = subprocess.Popen(node.command_of(items), stdin=subprocess.DEVNULL, stdout=file,
                                           stderr=subprocess.STDOUT, **settings)
        self._jobs.append(_Job(node, items, process, lock, slot, attempts, log))

    def _reap(self):
        """Looks which jobs have ended."""
        for job in list(self._jobs):
            status = job.process.poll()
            if status is None:
                continue
            self._jobs.remove(job)
            self._free.append(job.slot)
            whole = not (set(stamps.missing(job.node)) & set(job.items) if job.node.items else stamps.missing(job.node))
            seconds = job.attempts.end(job.seconds, done=status == 0 and whole)
            if status == 0 and whole:
                command = job.node.text_of(job.items)
                stamps.write(self._workdir, job.node, self._digests[job.node.name], command, seconds)
                self._finish(job.node, job.items)
                if not self._alone:
                    self._say(f"{self._title(job.node)}: done in {job.seconds:.0f} s")
            os.close(job.lock)
            if status:
                self._fail(job.node, f"failed with exit code {status}{f', see {job.log}' if job.log else ''}")
                self._say_tail(job.log)
            elif not whole:
                self._fail(job.node, "ended well, but its results are not whole")

    def _finish(self, node, items):
        self._done.add(node.name)
        for item in set(node.items) - set(items):
            line = f"{node.name} on {item.value}: left out, because {item.needs!r} failed"
            self._left_out.append(line)
            self._say(line)

    def _fail(self, node, why):
        self._problems[node.name] = f"{node.name}: {why}"
        self._say(f"{self._title(node)}: {why}")

    def _title(self, node):
        return f"[{self._nodes.index(node) + 1}/{len(self._nodes)}] {node.name}"

    def _say_tail(self, log):
        if log:
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]:
                self._say(f"  | {line}")

    def _stop(self):
        """Ends what runs: training saves where it is."""
        for job in self._jobs:
            if job.process.poll() is None:
                job.process.send_signal(signal.SIGTERM)
        for job in self._jobs:
            job.process.wait()
            job.attempts.end(job.seconds, done=False)
            os.close(job.lock)

