"""Object detection as a task."""

from tfod_compress import labels
from tfod_compress.labels import FrameLabels
from tfod_compress.records import Features
from tfod_compress.tasks.base import Metric, Task
from tfod_compress.tasks.detection import boxes, features


class Detection(Task):
    """Boxes of classes; by the OD API's weighted mAP, as the LMU study has it."""

    name = "detection"
    labels = "data/labels"
    label_map = "lmu"
    objects = "boxes"
    metrics = (
        Metric("weighted_map", "weighted mAP", scorer="weighted_map", at="IoU 0.5",
               meaning="average precision over all classes' detections pooled, a detection being right at an overlap "
                       "(IoU) of at least 0.5"),
        Metric("map", "mAP", scorer="map"),
        Metric("precision", "precision"),
        Metric("recall", "recall"),
        Metric("f1", "F1", scorer="f1"),
        Metric("coco.AP", "COCO AP", scorer="coco_ap"),
        Metric("coco.AP50", "COCO AP50"),
        Metric("coco.AP75", "COCO AP75"),
    )
    listed = ("map", "coco.AP", "precision", "recall", "f1")
    per_class = "ap_per_class"
    per_class_title = "average precision"
    confusion = "confusion"
    predictions_file = "detections.json"
    model = "detector"
    label_formats = ("auto", "voc", "kitti", "coco", "yolo", "csv")
    thresholded = True
    boxes = True
    takes = frozenset({"checkpoint", "saved_model", "pipeline_config_path", "detector_label_map", "class_map",
                       "nms_iou"})

    def open_labels(self, path, label_format, frames, *, folder, names_file=None, label_map=None, may_be_empty=False):
        """See `labels.open_labels`."""
        return labels.open_labels(path, label_format, [frame.source_id for frame in frames], names_file, may_be_empty)

    def to_features(self, label, width, height, class_map, min_box_px):
        """See `boxes.clean` for the rules that boxes are kept by."""
        kept = boxes.clean(label or FrameLabels([]), width, height, class_map, min_box_px)
        return Features(features.write(kept, width, height, class_map.label_map), kept.class_ids.tolist(),
                        kept.dropped, kept.clipped, kept.ignored)

    def from_features(self, stored, found):
        """`features.DetectionExample`."""
        return features.read(stored, found)

    def annotations(self, example, has_areas):
        """One for each box."""
        return features.annotations(example, has_areas)

    def tally(self, label_map):
        """Boxes per class and size."""
        from tfod_compress.tasks.detection.inspection import BoxTally

        return BoxTally(label_map)

    def draw(self, rgb, example, label_map):
        """The picture with its boxes and their classes."""
        from tfod_compress.tasks.detection.inspection import draw_boxes

        return draw_boxes(rgb, example.boxes, example.class_ids, label_map)

    def ground_truth(self, record_set, split):
        from tfod_compress.tasks.detection import metrics

        return metrics.record_set_ground_truth(record_set, split)

    def ground_truth_file(self, path):
        """A COCO JSON."""
        from tfod_compress.tasks.detection import metrics

        return metrics.load_ground_truth(path)

    def write_predictions(self, path, truth, predicted):
        from tfod_compress.tasks.detection import metrics

        metrics.write_detections(path, truth.image_ids, predicted)

    def read_predictions(self, path, truth):
        from tfod_compress.tasks.detection import metrics

        return metrics.load_detections(path, truth)

    def scorer(self, truth, predicted, score_threshold=None):
        from tfod_compress.tasks.detection.metrics import Matches, scores

        return scores.Scorer(Matches(truth, predicted), score_threshold)

    def summarise(self, truth, predicted, score_threshold=None):
        from tfod_compress.tasks.detection import metrics

        return metrics.summarise(truth, predicted, score_threshold)

    def viewer(self, truth, predicted, score_threshold=None):
        from tfod_compress.tasks.detection.viewer import BoxViewer

        return BoxViewer(truth, predicted, 0.5 if score_threshold is None else score_threshold)

    def columns(self):
        """Those of every paper, by their short names."""
        return {"weighted_map": "weighted mAP", "map": "mAP", "coco.AP": "COCO AP", "precision": "P", "recall": "R",
                "f1": "F1"}

    def odd(self, predicted, truth, name):
        """Detections that are left out, and images without any."""
        from tfod_compress.support.text import listed
        from tfod_compress.tasks.detection import metrics

        lines, empty = [], metrics.images_without(predicted, truth)
        if predicted.dropped:
            lines.append(f"{name}: {predicted.dropped} detections of class ids that the ground truth lacks are left "
                         "out")
        return [*lines, f"{name} has nothing on {listed(empty)}"] if empty else lines

    def notes(self, result):
        """How classes were matched, and what was dropped."""
        from tfod_compress.tasks.detection.metrics import classes

        return classes.notes(result)

    def outside_model(self, wanted):
        """COCO results of a command, in the classes that are given."""
        from tfod_compress.tasks.detection import evaluated, outside_detector

        return outside_detector.OutsideDetector(wanted.model_command, evaluated.given_of(wanted), wanted.keep_frames)

    def trained_models(self, wanted):
        """Checkpoints, or an export."""
        from tfod_compress.tasks.detection import evaluated

        return evaluated.of_wanted(wanted)

    def not_covered(self, files):
        from tfod_compress.tasks.detection.metrics import classes

        return classes.not_covered(files)

    def without(self, truth, predictions, classes):
        from tfod_compress.tasks.detection.metrics.classes import without

        return without(truth, predictions, classes)

    def pool(self, parts):
        from tfod_compress.tasks.detection.metrics import folds

        return folds.pool(parts)

    def same_truth(self, a, b):
        from tfod_compress.tasks.detection.metrics import boxes

        return boxes.same(a, b)
