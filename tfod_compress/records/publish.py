"""What stands beside the shards of a record set: manifest.json, images.csv, the lists of what was left out."""

import contextlib
import csv

from tfod_compress.labels import label_map as label_maps
from tfod_compress.records import shards
from tfod_compress.support.files import atomic_file, sha256, write_json

CSV_COLUMNS = {
    "images.csv": ("source_id", "split", "width", "height", "coded_bytes", "bpp", "psnr_db",
                   "pixels_crc32c"),
    "broken_frames.csv": ("path", "reason"),
}
DROPPED = ("source_id", "class", "box", "reason")  # columns of dropped_boxes.csv, or what else a task's objects are


def describe(folder, names, splits, broken, pixels_crcs, task, label_map, plan, manifest):
    """Writes everything but the shards.

    Args:
      folder: the growing folder, all shards and their notes in it.
      names: the shards' names, in order.
      splits: names of the splits.
      broken: [(path, reason)].
      pixels_crcs: {source_id: CRC-32C of the source's pixels}, which tells the same frame in other record sets.
      task: the `Task`.
      label_map: {class id: name}.
      plan: what decides the bytes; goes into the manifest.
      manifest: the manifest's other entries that are known before.

    Returns:
      The manifest.
    """
    objects, counted = task.objects, shards.counted(task)
    totals = {"frames": dict.fromkeys(splits, 0), counted: dict.fromkeys(label_map.values(), 0), "pixels": 0,
              "coded_bytes": 0, "stored_bytes": 0, "files": {}}
    if objects:
        totals |= {"negatives": 0, f"clipped_{objects}": 0, f"dropped_{objects}": 0, f"ignored_{objects}": 0}
    measured, per_frame = [], manifest.get("rate_per_frame", False)
    if per_frame:
        totals["frames_above_target"] = 0
    own = ("quality",) if per_frame else ()
    listed = f"dropped_{objects}.csv"
    with _table(folder, "images.csv", own) as images, (
            _table(folder, listed) if objects else contextlib.nullcontext()) as dropped:
        for name in names:
            note = shards.read_note(folder, name)
            for source_id, width, height, coded_bytes, psnr, *own_quality in note["frames"]:
                images((source_id, note["split"], width, height, coded_bytes,
                        f"{8 * coded_bytes / (width * height):.6f}", "" if psnr is None else psnr,
                        f"{pixels_crcs[source_id]:08x}", *own_quality))
                if per_frame:
                    totals["frames_above_target"] += 8 * coded_bytes > manifest["target_bpp"] * width * height
                totals["frames"][note["split"]] += 1
                totals["pixels"] += width * height
                totals["coded_bytes"] += coded_bytes
                # A frame that came through unchanged, such as a black one, has no PSNR to average.
                if psnr not in (None, "inf"):
                    measured.append(psnr)
            for source_id, class_name, edges, reason in note["dropped"]:
                dropped((source_id, class_name, " ".join(edges), reason))
            for class_name, count in note[counted].items():
                totals[counted][class_name] += count
            if objects:
                totals["negatives"] += note["negatives"]
                totals[f"clipped_{objects}"] += note["clipped"]
                totals[f"ignored_{objects}"] += note["ignored"]
                totals[f"dropped_{objects}"] += len(note["dropped"])
            totals["stored_bytes"] += note["bytes"]
            totals["files"][name] = note["sha256"]
    with _table(folder, "broken_frames.csv") as row:
        for item in broken:
            row(item)
    totals["frames"]["broken"] = len(broken)
    with atomic_file(folder / "label_map.pbtxt", "w") as file:
        file.write(label_maps.text(label_map))
    tables = ["images.csv", "broken_frames.csv", *([listed] if objects else [])]
    for name in (*tables, "label_map.pbtxt"):
        totals["files"][name] = sha256(folder / name)
    manifest = {
        **manifest, **totals, "bpp": 8 * totals["coded_bytes"] / totals["pixels"],
        "psnr_db": round(sum(measured) / len(measured), 4) if measured else None, "psnr_frames": len(measured),
        "plan": plan}
    write_json(folder / "manifest.json", manifest)
    return manifest


class _table:
    """A CSV file that appears whole; entering gives the function that writes a row."""

    def __init__(self, folder, name, more=()):
        self._context, self._columns = atomic_file(folder / name, "w"), (*CSV_COLUMNS.get(name, DROPPED), *more)

    def __enter__(self):
        writer = csv.writer(self._context.__enter__(), lineterminator="\n")
        writer.writerow(self._columns)
        return writer.writerow

    def __exit__(self, *error):
        return self._context.__exit__(*error)
