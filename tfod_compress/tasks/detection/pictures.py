"""Detections on pictures: run a detector on image files, draw what it finds, write it down."""

import csv
import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfod_compress.frames import BrokenFrame, FramePath, find_frames, read_frame
from tfod_compress.support.errors import InputError
from tfod_compress.support.files import atomic_file
from tfod_compress.support.progress import Bar
from tfod_compress.tasks.detection import metrics

# Okabe and Ito's colour-blind-safe colours without black (https://jfly.uni-koeln.de/color/); classes beyond the seventh
# use them again, with a black line along the box.
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_DARK = {"#009e73", "#0072b2", "#d55e00"}  # take white letters


def find_images(paths):
    """The frames that are named, or lie in folders that are named.

    Args:
      paths: files and folders.

    Returns:
      [FramePath] with distinct source ids: the path below the folder, or the file's name, without its extension;
      where two would be alike, the path as given.

    Raises:
      InputError: a path does not exist, or a folder holds no frame.
    """
    found = []
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            found += find_frames(path)
        elif path.is_file():
            found.append(FramePath(path.stem, str(path)))
        else:
            raise InputError(f"{path}: no such image or folder")
    found = list({frame.path: frame for frame in found}.values())
    names = [frame.source_id for frame in found]
    return [frame if names.count(frame.source_id) == 1 else
            FramePath(pathlib.Path(frame.path).as_posix().strip("/").replace("../", ""), frame.path)
            for frame in found]


def detect(detector, paths, output, class_names, *, score_threshold, draw=True):
    """Runs a detector on image files.

    Args:
      detector: anything with `detect_image(rgb)` (`detector.Detector`, `saved_model.SavedModelDetector`).
      paths: image files and folders.
      output: folder that receives `detections.json` (COCO results in pixels, all scores; image_id is the source id),
        `pictures/<source id>.png` and, where images could not be read, `broken_frames.csv` (path, reason).
      class_names: {class id: name}.
      score_threshold: of what is drawn.
      draw: whether to write pictures.

    Returns:
      ([(source id, number of detections at the threshold)], [(path, reason)] of the broken images).

    Raises:
      InputError: a path leads nowhere, or not one image can be read.
    """
    output = pathlib.Path(output)
    frames = find_images(paths)
    sizes, parts, counts, broken = [], [], [], []
    with Bar("detecting", len(frames), "images") as bar:
        for frame in frames:
            try:
                rgb = read_frame(frame.path)
            except BrokenFrame as reason:
                broken.append((frame.path, str(reason)))
                bar.advance()
                continue
            boxes, class_ids, scores = detector.detect_image(np.ascontiguousarray(rgb))
            sizes.append(rgb.shape[:2])
            parts.append((boxes, class_ids, scores))
            shown = scores >= score_threshold
            counts.append((frame.source_id, int(shown.sum())))
            if draw:
                picture = draw_detections(rgb, boxes[shown], class_ids[shown], scores[shown], class_names)
                with atomic_file(output / "pictures" / f"{frame.source_id}.png") as file:
                    picture.save(file, "PNG")
            bar.advance()
    if not counts:
        raise InputError(f"{broken[0][0]}: cannot be read ({broken[0][1]}), and there is no other image")
    image = np.repeat(np.arange(len(parts)), [len(part[2]) for part in parts])
    boxes, class_ids, scores = (np.concatenate([part[i] for part in parts]) for i in range(3))
    pixels = metrics.to_pixels(boxes, np.array(sizes)[image])
    pixels[:, 2:] = np.maximum(pixels[:, 2:], 0.0)
    metrics.write_detections(output / "detections.json", [name for name, _ in counts],
                             metrics.Detections(image, pixels, class_ids, np.clip(scores.astype(np.float64), 0, 1)))
    if broken:
        with atomic_file(output / "broken_frames.csv", "w") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "reason"), *broken])
    return counts, broken


def draw_detections(rgb, boxes, class_ids, scores, class_names):
    """A picture with boxes, class names and scores; the surest are drawn last.

    Args:
      rgb: uint8 [H, W, 3].
      boxes: [N, 4] (ymin, xmin, ymax, xmax) in [0, 1].
      class_ids: [N].
      scores: [N].
      class_names: {class id: name}.

    Returns:
      PIL image of the same size.
    """
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    canvas = ImageDraw.Draw(picture)
    line = max(2, round(min(rgb.shape[:2]) / 200))
    font = ImageFont.load_default(max(11, round(min(rgb.shape[:2]) / 40)))
    for index in np.argsort(scores, kind="stable"):
        number = int(class_ids[index])
        colour = _COLOURS[(number - 1) % len(_COLOURS)]
        ymin, xmin, ymax, xmax = np.clip(boxes[index], 0, 1)
        left, top = round(float(xmin) * picture.width), round(float(ymin) * picture.height)
        right = max(left, round(float(xmax) * picture.width) - 1)
        bottom = max(top, round(float(ymax) * picture.height) - 1)
        canvas.rectangle((left, top, right, bottom), outline=colour, width=line)
        if number > len(_COLOURS):
            canvas.rectangle((left, top, right, bottom), outline="black", width=max(1, line // 2))
        text = f"{class_names.get(number, f'class {number}')} {100 * scores[index]:.0f} %"
        x0, y0, x1, y1 = canvas.textbbox((0, 0), text, font=font)
        width, height = x1 - x0 + 4, y1 - y0 + 4
        x = max(0, min(left, picture.width - width))
        y = top - height if top >= height else top
        canvas.rectangle((x, y, x + width, y + height), fill=colour)
        canvas.text((x + 2 - x0, y + 2 - y0), text, fill="white" if colour in _DARK else "black", font=font)
    return picture
