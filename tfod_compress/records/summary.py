"""The table that closes a conversion."""

from tfod_compress.records import shards

_COLUMNS = ("record set", "frames", "MB", "bpp", "PSNR dB", "raw/coded")


def text(made, task):
    """Several lines: one row for each record set, then what was left out and where it is listed.

    Args:
      made: [conversion.Made].
      task: the `Task`.

    MB are 10^6 bytes of coded frames; raw is 24 bits a pixel; PSNR is the mean over the measured frames.
    """
    objects = task.objects
    rows = [(*_COLUMNS, objects or "classes")]
    for item in made:
        manifest = item.manifest
        frames = sum(count for name, count in manifest["frames"].items() if name != "broken")
        psnr = "lossless" if manifest["lossless"] else "" if manifest["psnr_db"] is None else (
            f"{manifest['psnr_db']:.2f}")
        rows.append((item.path.name + (" (was there)" if item.was_there else ""), str(frames),
                     f"{manifest['coded_bytes'] / 1e6:.2f}", f"{manifest['bpp']:.3f}", psnr,
                     f"{3 * manifest['pixels'] / manifest['coded_bytes']:.1f}",
                     str(sum(manifest[objects].values()) if objects else len(manifest[shards.counted(task)]))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                       for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
    return "\n".join([*lines, *_left_out(made[0], objects)])


def _left_out(item, objects):
    manifest = item.manifest
    counts = manifest["frames"]
    split = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "broken")
    lines = [f"split: {split}" + (f"; {manifest['negatives']} without {objects}" if objects else "")]
    if counts["broken"]:
        lines.append(f"{counts['broken']} broken frames skipped, see {item.path / 'broken_frames.csv'}")
    if objects and manifest[f"dropped_{objects}"]:
        listed = item.path / f"dropped_{objects}.csv"
        lines.append(f"{manifest[f'dropped_{objects}']} {objects} dropped, see {listed}")
    if objects and manifest[f"clipped_{objects}"]:
        lines.append(f"{manifest[f'clipped_{objects}']} {objects} clipped to the frame")
    return lines
