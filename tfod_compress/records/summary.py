"""The table that closes a conversion."""

_COLUMNS = ("record set", "frames", "MB", "bpp", "PSNR dB", "raw/coded", "boxes")


def text(made):
    """Several lines: one row for each record set, then what was left out and where it is listed.

    Args:
      made: [conversion.Made].

    MB are 10^6 bytes of coded frames; raw is 24 bits a pixel; PSNR is the mean over the measured frames.
    """
    rows = [_COLUMNS]
    for item in made:
        manifest = item.manifest
        frames = sum(count for name, count in manifest["frames"].items() if name != "broken")
        psnr = "lossless" if manifest["lossless"] else "" if manifest["psnr_db"] is None else (
            f"{manifest['psnr_db']:.2f}")
        rows.append((item.path.name + (" (was there)" if item.was_there else ""), str(frames),
                     f"{manifest['coded_bytes'] / 1e6:.2f}", f"{manifest['bpp']:.3f}", psnr,
                     f"{3 * manifest['pixels'] / manifest['coded_bytes']:.1f}", str(sum(manifest["boxes"].values()))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) if index == 0 else cell.rjust(width)
                       for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
    return "\n".join([*lines, *_left_out(made[0])])


def _left_out(item):
    manifest = item.manifest
    counts = manifest["frames"]
    split = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "broken")
    lines = [f"split: {split}; {manifest['negatives']} without boxes"]
    if counts["broken"]:
        lines.append(f"{counts['broken']} broken frames skipped, see {item.path / 'broken_frames.csv'}")
    if manifest["dropped_boxes"]:
        lines.append(f"{manifest['dropped_boxes']} boxes dropped, see {item.path / 'dropped_boxes.csv'}")
    if manifest["clipped_boxes"]:
        lines.append(f"{manifest['clipped_boxes']} boxes clipped to the frame")
    return lines
