"""The detectors of the TF2 detection zoo, with the accuracy that the zoo's page gives for each.

The page: research/object_detection/g3doc/tf2_detection_zoo.md of tensorflow/models. Left out are the models of that
page that find no boxes of COCO's classes alone: keypoints and ExtremeNet.
"""

import dataclasses

from tfod_compress.labels import label_map

PAGE = "https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf2_detection_zoo.md"
_DATE = "20200711"  # of nearly all of them


@dataclasses.dataclass(frozen=True)
class Tf2Archive:
    """One archive of the TF2 zoo.

    Attributes:
      name: such as "ssd_mobilenet_v2_320x320_coco17_tpu-8".
      extractor: how the type of its feature extractor begins.
      published_map: the zoo's COCO mAP of its boxes (AP at IoU 0.5 to 0.95 on val2017, percent).
      date: the folder that it lies in on the zoo's server.
    """

    name: str
    extractor: str
    published_map: float
    date: str = _DATE

    generation = 2

    @property
    def file(self):
        """The archive's file name."""
        return f"{self.name}.tar.gz"

    @property
    def path(self):
        """Where it lies below the zoo's address."""
        return f"tf2/{self.date}/{self.file}"

    @property
    def label_map(self):
        """{class id: name}: COCO's 80 classes, with ids up to 90."""
        return label_map.load("coco")


ARCHIVES = (
    Tf2Archive("ssd_mobilenet_v2_320x320_coco17_tpu-8", "ssd_mobilenet_v2_keras", 20.2),
    Tf2Archive("ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8", "ssd_mobilenet_v1_fpn", 29.1),
    Tf2Archive("ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8", "ssd_mobilenet_v2_fpn", 22.2),
    Tf2Archive("ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8", "ssd_mobilenet_v2_fpn", 28.2),
    Tf2Archive("ssd_resnet50_v1_fpn_640x640_coco17_tpu-8", "ssd_resnet50_v1_fpn", 34.3),
    Tf2Archive("ssd_resnet50_v1_fpn_1024x1024_coco17_tpu-8", "ssd_resnet50_v1_fpn", 38.3),
    Tf2Archive("ssd_resnet101_v1_fpn_640x640_coco17_tpu-8", "ssd_resnet101_v1_fpn", 35.6),
    Tf2Archive("ssd_resnet101_v1_fpn_1024x1024_coco17_tpu-8", "ssd_resnet101_v1_fpn", 39.5),
    Tf2Archive("ssd_resnet152_v1_fpn_640x640_coco17_tpu-8", "ssd_resnet152_v1_fpn", 35.4),
    Tf2Archive("ssd_resnet152_v1_fpn_1024x1024_coco17_tpu-8", "ssd_resnet152_v1_fpn", 39.6),
    *(Tf2Archive(f"efficientdet_d{size}_coco17_tpu-32", f"ssd_efficientnet-b{size}_bifpn", published_map)
      for size, published_map in enumerate((33.6, 38.4, 41.8, 45.4, 48.5, 49.7, 50.5, 51.2))),
    Tf2Archive("centernet_hg104_512x512_coco17_tpu-8", "hourglass_104", 41.9, "20200713"),
    Tf2Archive("centernet_hg104_1024x1024_coco17_tpu-32", "hourglass_104", 44.5, "20200713"),
    Tf2Archive("centernet_resnet50_v1_fpn_512x512_coco17_tpu-8", "resnet_v1_50_fpn", 31.2),
    Tf2Archive("centernet_resnet101_v1_fpn_512x512_coco17_tpu-8", "resnet_v1_101_fpn", 34.2),
    Tf2Archive("centernet_resnet50_v2_512x512_coco17_tpu-8", "resnet_v2_50", 29.5),
    Tf2Archive("centernet_mobilenetv2fpn_512x512_coco17_od", "mobilenet_v2_fpn", 23.4, "20210210"),
    Tf2Archive("faster_rcnn_resnet50_v1_640x640_coco17_tpu-8", "faster_rcnn_resnet50_keras", 29.3),
    Tf2Archive("faster_rcnn_resnet50_v1_1024x1024_coco17_tpu-8", "faster_rcnn_resnet50_keras", 31.0),
    Tf2Archive("faster_rcnn_resnet50_v1_800x1333_coco17_gpu-8", "faster_rcnn_resnet50_keras", 31.6),
    Tf2Archive("faster_rcnn_resnet101_v1_640x640_coco17_tpu-8", "faster_rcnn_resnet101_keras", 31.8),
    Tf2Archive("faster_rcnn_resnet101_v1_1024x1024_coco17_tpu-8", "faster_rcnn_resnet101_keras", 37.1),
    Tf2Archive("faster_rcnn_resnet101_v1_800x1333_coco17_gpu-8", "faster_rcnn_resnet101_keras", 36.6),
    Tf2Archive("faster_rcnn_resnet152_v1_640x640_coco17_tpu-8", "faster_rcnn_resnet152_keras", 32.4),
    Tf2Archive("faster_rcnn_resnet152_v1_1024x1024_coco17_tpu-8", "faster_rcnn_resnet152_keras", 37.6),
    Tf2Archive("faster_rcnn_resnet152_v1_800x1333_coco17_gpu-8", "faster_rcnn_resnet152_keras", 37.4),
    Tf2Archive("faster_rcnn_inception_resnet_v2_640x640_coco17_tpu-8", "faster_rcnn_inception_resnet_v2_keras", 37.7),
    Tf2Archive("faster_rcnn_inception_resnet_v2_1024x1024_coco17_tpu-8", "faster_rcnn_inception_resnet_v2_keras", 38.7),
    Tf2Archive("mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8", "faster_rcnn_inception_resnet_v2_keras", 39.0),
)
