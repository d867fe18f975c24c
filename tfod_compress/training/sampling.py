"""Sampling frames by class frequency, so that rare classes come as often as common ones.

Class-aware sampling (Shen, Lin and Huang, "Relay Backpropagation for Effective Learning of Deep Convolutional Neural
Networks", ECCV 2016, section 4.1): a class is drawn uniformly, then a frame that has it. Frames without boxes keep
the share that they have in the record set.
"""

import numpy as np

from tfod_compress.support.text import CLASSES, listed


def weights(boxes):
    """How often each frame is to come.

    Args:
      boxes: int [N, C], how many boxes each of N frames has of each of C classes.

    Returns:
      float64 [N], summing to 1.
    """
    has = np.asarray(boxes) > 0
    frames_of_class = has.sum(axis=0)
    present = frames_of_class > 0
    empty = ~has.any(axis=1)
    share = empty.mean()
    found = np.where(empty, 1 / len(has), 0.0)
    if present.any():
        found += (1 - share) / present.sum() * (has[:, present] / frames_of_class[present]).sum(axis=1)
    return found / found.sum()


def shares(boxes, frame_weights=None):
    """The share of each class among the boxes that training sees.

    Args:
      boxes: int [N, C].
      frame_weights: float [N], or None where every frame comes equally often.

    Returns:
      float64 [C]; zeros where there is no box at all.
    """
    boxes = np.asarray(boxes, float)
    seen = boxes.sum(axis=0) if frame_weights is None else np.asarray(frame_weights) @ boxes
    return seen / max(seen.sum(), 1e-30)


def table(boxes, frame_weights, label_map):
    """{class name: {"records": its share of the boxes, "sampled": its share of those that training sees}}.

    Args:
      boxes: int [N, C]; column c is class id c + 1.
      frame_weights: float [N] or None.
      label_map: {class id: name}.
    """
    before, after = shares(boxes), shares(boxes, frame_weights)
    return {label_map.get(index + 1, f"class {index + 1}"): {"records": float(before[index]),
                                                             "sampled": float(after[index])}
            for index in range(len(before)) if index + 1 in label_map or before[index]}


def describe(boxes, frame_weights, label_map):
    """One line for a person: the class shares as they are and as sampled, and how often a frame comes at most.

    Args:
      boxes: int [N, C].
      frame_weights: float [N].
      label_map: {class id: name}.

    Returns:
      Text such as "class shares (in the records -> as sampled): Truck 2.1% -> 13.0%, ...; a frame comes at most 9.1
      times an epoch".
    """
    rows = sorted(table(boxes, frame_weights, label_map).items(), key=lambda row: -row[1]["records"])
    told = listed([f"{name} {share['records']:.1%} -> {share['sampled']:.1%}" for name, share in rows], CLASSES)
    most = float(np.max(frame_weights) * len(frame_weights) / np.sum(frame_weights))
    return f"class shares (in the records -> as sampled): {told}; a frame comes at most {most:.1f} times an epoch"
