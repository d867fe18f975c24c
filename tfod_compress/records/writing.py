"""Write the record sets of a conversion, and go on where an interrupted run stopped."""

import dataclasses
import errno
import pathlib

from tfod_compress.codecs import rate_matching
from tfod_compress.records import bitstreams, folders, publish, shards, space, workers
from tfod_compress.support import progress
from tfod_compress.support.errors import InputError

RATE_CHUNK = 16  # frames that are coded in one task while rates are matched


@dataclasses.dataclass(frozen=True)
class Made:
    """One record set of a finished run: where it is, its manifest, and whether it was there before."""

    path: pathlib.Path
    manifest: dict
    was_there: bool


def write(todo, split_names, found, targets, plan, head, task, coder, output, pool, say):
    """Writes the record sets that are not there yet; the caller holds their locks.

    Args:
      todo: [Shard] without folders.
      split_names: names of their splits.
      found: `survey.Survey`.
      targets: {quality or RateTarget: path of the record set}.
      plan: what decides the bytes, but for the quality.
      head: what the manifest says beside that is known before.
      task: the `Task`.
      coder: the codec.
      output: `request.Output`.
      pool: of `workers.pool`.
      say: called with each line that the user should read.

    Returns:
      [Made], in the order of `targets`.

    Raises:
      InputError: what is there was made from something else, or the disk is full.
    """
    overwrite, keep_bitstreams = output.overwrite, output.keep_bitstreams
    plans = {key: {**plan, **_entries(key)} for key in targets}
    due = folders.choose(targets, plans, overwrite)
    if found.has_areas:
        for key in targets:
            if key not in due and "areas" not in folders.read_manifest(targets[key]):
                say(f"{targets[key]}: made before COCO's areas were kept, so APs, APm and APl go by box areas; "
                    "--overwrite makes it anew")
    growing = {key: folders.unfinished(targets[key]) for key in due}
    # Where only the last step is missing, the notes about shards may be gone already.
    partial = {key: folder for key, folder in growing.items()
               if folders.read_manifest(folder).get("plan") != plans[key]}
    kept = {key: pathlib.Path(keep_bitstreams) / path.name for key, path in targets.items()} if keep_bitstreams else {}
    for key, folder in kept.items():
        bitstreams.check(folder, plans[key], overwrite)
    rates = _matched(partial, targets, plans, coder, found, pool, say)
    exact = {_exact(targets[key], key, rates): folder for key, folder in partial.items()}
    tasks = _missing(todo, exact, {
        _exact(targets[key], key, rates): folder for key, folder in kept.items()}, coder.extension)
    if any(shard.folders for shard in tasks):
        space.check(tasks, found, exact, pool, say)
    for key, folder in kept.items():
        bitstreams.prepare(folder, plans[key])
    for key in partial:
        folders.prepare(targets[key], plans[key])
        if key in rates:
            folders.write_rate(targets[key], rates[key])
    try:
        _write_shards(tasks, len(partial), pool)
        for key in partial:
            publish.describe(growing[key], [shard.name for shard in todo], split_names, found.broken,
                             {frame.source_id: look.pixels_crc for frame, look in found.good},
                             task, todo[0].class_map.label_map, plans[key],
                             {**head, **_entries(key), **rates.get(key, {})})
        for quality in due:
            folders.publish(targets[quality], [shards.note_path("", shard.name).name for shard in todo])
    except BaseException as error:
        pool.stop()
        for folder in growing.values():
            folders.sweep(folder)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"{targets[due[0]].parent}: the disk is full; make room and give the same command again: "
                             "the shards that were finished are kept") from error
        raise
    return [Made(path, folders.read_manifest(path), quality not in due) for quality, path in targets.items()]


def _entries(key):
    """What plan and manifest say of a record set's quality before any search."""
    if isinstance(key, rate_matching.RateTarget):
        return {"quality": None, "target_bpp": key.bpp, "rate_per_frame": key.per_frame}
    return {"quality": key}


def _exact(target, key, rates):
    """A record set's quality, or its `RateTarget` with the quality that was found for it."""
    if not isinstance(key, rate_matching.RateTarget) or key.per_frame:
        return key
    found = rates[key] if key in rates else folders.read_manifest(folders.unfinished(target)) or (
        folders.read_manifest(target))
    return dataclasses.replace(key, quality=found["quality"])


def _matched(partial, targets, plans, coder, found, pool, say):
    """{RateTarget: {"quality", "rates"}} of the record sets that get one quality by their rate."""
    wanted = [key for key in partial if isinstance(key, rate_matching.RateTarget) and not key.per_frame]
    kept = {key: folders.read_rate(targets[key], plans[key]) for key in wanted}
    rates = {key: rate for key, rate in kept.items() if rate}
    missing = {key.bpp: key for key in wanted if key not in rates}
    if missing:
        matched = rate_matching.match(
            coder, {frame: look.pixels for frame, look in found.good}, list(missing),
            lambda frames, qualities, what: _coded(pool, frames, qualities, what))
        for bpp, (quality, proof) in matched.items():
            rates[missing[bpp]] = {"quality": quality, "rates": {f"{at:g}": rate for at, rate in proof.items()}}
            say(f"{bpp:g} bits per pixel: {coder.parameter}{quality:g} gives {proof[quality]:.4f}")
    return rates


def _coded(pool, frames, qualities, what):
    """[bytes of all these frames, coded at each quality]."""
    totals = [0] * len(qualities)
    step = max(1, min(RATE_CHUNK, len(frames) // 8))
    chunks = [frames[at:at + step] for at in range(0, len(frames), step)]
    with progress.Bar(f"matching rates on {what}", len(frames)) as bar:
        for index, sizes in pool.run(workers.coded_sizes, [(chunk, qualities) for chunk in chunks]):
            totals = [total + size for total, size in zip(totals, sizes, strict=True)]
            bar.advance(len(chunks[index]), f"at {', '.join(f'{quality:g}' for quality in qualities)}")
    return totals


def _missing(todo, growing, kept, extension):
    """The shards that are not whole in every growing folder, or lack bitstreams that are to be kept, large ones first.

    Args:
      todo: [Shard].
      growing: {quality: folder of the unfinished record set}.
      kept: {quality: folder of bitstreams}.
      extension: of a bitstream's file.
    """
    tasks = []
    for shard in todo:
        missing = {quality: str(folder) for quality, folder in growing.items()
                   if not shards.finished_note(folder, shard.name)}
        files = {quality: str(folder) for quality, folder in kept.items()
                 if not bitstreams.complete(folder, shard, extension)}
        if missing or files:
            tasks.append(dataclasses.replace(shard, folders=missing, bitstreams=files))
    return sorted(tasks, key=lambda shard: -len(shard.frames))


def _write_shards(tasks, sets, pool):
    if not tasks:
        return
    total = sum(len(shard.frames) for shard in tasks)
    with progress.Bar(f"coding at {sets} qualities" if sets > 1 else "coding", total) as bar:
        for _ in pool.run(workers.make_shard, tasks, tick=lambda: bar.update(*pool.coded())):
            pass
