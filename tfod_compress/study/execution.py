"""Run what is missing of a study. A node is done when its stamp is there, written after its command ended well."""

import hashlib
import json
import pathlib
import subprocess
import time

import yaml

from tfod_compress import __version__, pipeline_config
from tfod_compress.errors import InputError
from tfod_compress.files import atomic_file, write_json
from tfod_compress.study.graph import graph
from tfod_compress.study.results import write_results
from tfod_compress.study.stamps import stamp_path


def run(study, workdir, *, dry_run=False, say=print):
    """Runs what is missing of a study and writes results.json and report.html.

    Args:
      study: a Study.
      workdir: the study's folder.
      dry_run: print the graph, run nothing.
      say: called with each line for the user.

    Returns:
      The names of the nodes that failed, or were left out because one that they need failed.

    Raises:
      InputError: the folder holds results of a study with other settings.
    """
    workdir = pathlib.Path(workdir)
    nodes = graph(study, workdir)
    digests = _digests(nodes, study)
    done = {node.name: _is_done(workdir, node, digests[node.name]) for node in nodes}
    if dry_run:
        for node in nodes:
            say(f"{'done   ' if done[node.name] else 'missing'}  {node.name}\n         {node.text}")
        return []
    workdir.mkdir(parents=True, exist_ok=True)
    with atomic_file(workdir / "study.yaml", "w") as file:
        yaml.safe_dump(study.model_dump(mode="json"), file, sort_keys=False)
    failed = []
    for number, node in enumerate(nodes, 1):
        if done[node.name]:
            continue
        if set(node.needs) & set(failed):
            failed.append(node.name)
            say(f"[{number}/{len(nodes)}] {node.name}: left out, because what it needs failed")
            continue
        say(f"[{number}/{len(nodes)}] {node.name}\n  {node.text}")
        start = time.time()
        status = subprocess.run(node.command).returncode
        if status in (130, -2):
            raise KeyboardInterrupt
        if status:
            failed.append(node.name)
            say(f"[{number}/{len(nodes)}] {node.name}: failed with exit code {status}")
            continue
        write_json(stamp_path(workdir, node), {"digest": digests[node.name], "command": node.text,
                                           "seconds": round(time.time() - start, 1)})
    write_results(study, workdir, nodes)
    return failed


def _digests(nodes, study):
    """node name -> a hash of its command, its detector's template and what it needs."""
    templates = "".join((pipeline_config.TEMPLATES / f"{name}.config").read_text() for name in study.detectors)
    digests = {}
    for node in nodes:
        parts = [node.text, __version__, *(digests[name] for name in node.needs)]
        if node.tool == "make_pipeline_config":
            parts.append(templates)
        digests[node.name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return digests

def _is_done(workdir, node, digest):
    path = stamp_path(workdir, node)
    if not path.is_file():
        return False
    stamp = json.loads(path.read_text())
    if stamp["digest"] != digest:
        raise InputError(f"{path}: {node.name!r} was done with other settings ({stamp['command']}); use another "
                         f"--workdir, or delete {workdir} to start again")
    return True
