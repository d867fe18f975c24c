"""Train a classifier: an experiment of tf-models-official, configured as its users do, on a record set of this kit.

Model, losses, optimizer and schedule are the experiment's. Pictures come from the record set (JPEG by libjpeg's
accurate inverse DCT), in an order and with an augmentation that are functions of the seed and the step. Run again, it
goes on where it stopped. MODEL_DIR gets ckpt-*, params.yaml, label_map.pbtxt, run.json (what it takes to repeat the
run), metrics.jsonl, restored.json and TensorBoard's events; with --eval_every also evaluations/ and best/. The number
of classes is the record set's; `label_offset: 1` is for models whose first output is a background class, such as
those of 1001 classes. Fields that this kit does not honour are refused by name.

With --codec_model a learned codec stands in front of the classifier, which sees decoded pictures; the loss is the
classifier's + beta * bits per pixel + lmbda * mean squared error (0 to 255). --codec_regime says what is trained:
task_ft the classifier, codec_ft the codec through the frozen classifier (task.init_checkpoint), joint_ft both,
fixed_decoder the codec's encoder side, task_decoder its synthesis and the classifier. MODEL_DIR/codec gets the tuned
codec, for make_tfrecords --codec_model.

Detectors are trained by tools.model_main_tf2.

Examples:
  python -m tools.train --experiment resnet_imagenet --config_file resnet18.yaml --records tfrecords/jpeg-q20 \\
      --model_dir runs/resnet-q20
  python -m tools.train --experiment mobilenet_imagenet --records tfrecords/png --model_dir runs/m --params_override \\
      "task.model.input_size=[32,32,3],task.train_data.global_batch_size=64,trainer.train_steps=1000"
  python -m tools.train --experiment resnet_imagenet --config_file F.yaml --records tfrecords/jpeg-q5 --model_dir D \\
      --params_override "task.init_checkpoint=runs/resnet-png" --eval_every 500 --eval_records tfrecords/jpeg-q5
  python -m tools.train --experiment resnet_imagenet --config_file F.yaml --records tfrecords/png --model_dir D \\
      --params_override task.init_checkpoint=runs/resnet-png --codec_model runs/bmshj2018 --codec_regime codec_ft \\
      --codec_beta 0.5
"""

from absl import flags

from tools import codec_flags, command, training_flags

_EXPERIMENT = flags.DEFINE_string("experiment", None, "The experiment's name, such as resnet_imagenet.", required=True)
_CONFIG = flags.DEFINE_multi_string("config_file", [], "A YAML file of fields over the experiment's, "
                                   "or the name of one in pipeline_configs/classifiers; may be repeated.")
_OVERRIDE = flags.DEFINE_string("params_override", "", "Fields over those: a.b=value,... or YAML.")
_RECORDS = flags.DEFINE_string("records", None, "The record set to train on; else task.train_data.input_path.")
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "The folder for checkpoints and logs.", required=True)
flags.adopt_module_key_flags(training_flags)
flags.adopt_module_key_flags(codec_flags)


def main():
    training_flags.check()
    codec_flags.check()
    training_flags.prepare()
    options, codec = training_flags.options(), codec_flags.tuning()
    from tfod_compress.training import loop
    from tfod_compress.training.classification import ClassificationRun

    run = ClassificationRun(_EXPERIMENT.value, _CONFIG.value, _OVERRIDE.value, _RECORDS.value, codec=codec)
    loop.train(run, _MODEL_DIR.value, options, training_flags.strategy())


if __name__ == "__main__":
    command.run(main)
