"""Train a learned codec on frames: one model for each lambda.

Examples:
  python -m tools.train_codec --codec bmshj2018 --lmbda 0.01 --frames data/frames --output runs/bmshj2018
  python -m tools.train_codec --codec bmshj2018 --lmbda 0.003,0.01,0.03 --frames tfrecords/png --output runs/hyperprior
  python -m tools.train_codec --codec mbt2018-mean --lmbda 0.02 --frames data/frames --output runs/narrow \\
      --num_filters 32 --num_latents 48 --steps 2000 --learning_rate 1e-3
  python -m tools.train_codec --codec bmshj2018 --lmbda 0.003 --frames data/frames --start_from runs/bmshj2018 \\
      --output runs/bmshj2018-low --steps 1000

The loss is bpp + lmbda * mse, with the mean squared error of samples from 0 to 255. Frames are a folder of BMP, PNG or
JPEG pictures, or a record set; its pictures should be lossless. The model is trained on random crops, and validated on
whole frames that it is never trained on. A run that was interrupted goes on where it stopped when the same command is
given again. Several lambdas make a folder each below --output: lmbda-0.01/. Then:

  python -m tools.make_tfrecords --codec bmshj2018 --codec_model runs/bmshj2018
  tensorboard --logdir runs/bmshj2018
"""

import math

from absl import flags

from tools import command

_CODEC = flags.DEFINE_enum("codec", None, ["bls2017", "bmshj2018", "mbt2018-mean"],
                           "Factorized prior, scale hyperprior, or mean-scale hyperprior.")
_LMBDA = flags.DEFINE_list("lmbda", None, "Weight of the distortion, one number or several: about 0.001 for a low "
                           "rate, 0.1 for a high one.")
_FRAMES = flags.DEFINE_string("frames", None, "Folder of frames, at any depth, or a record set.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder that gets the model, or one folder for each lambda.")
_STEPS = flags.DEFINE_integer("steps", 1_000_000, "Steps from the start of the model.")
_CROP = flags.DEFINE_integer("crop", 256, "Side of a crop in pixels; smaller frames are padded.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Crops of a step.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-4, "Of Adam; a tenth of it in the last tenth of the steps.")
_NUM_FILTERS = flags.DEFINE_integer("num_filters", None, "Channels of the transforms: N of the papers; without it "
                                    "128, for mbt2018-mean 192.")
_NUM_LATENTS = flags.DEFINE_integer("num_latents", None, "Channels that are coded: M of the papers; without it 192, "
                                    "for bls2017 128.")
_START_FROM = flags.DEFINE_string("start_from", None, "Folder of a trained model whose weights are the first ones.")
_VAL = flags.DEFINE_float("val_fraction", 0.1, "Share of a folder's frames for validation, at least one frame; a "
                          "record set has its own.")
_SPLIT_BY = flags.DEFINE_string("split_by", None, "Regular expression on a frame's path below --frames: frames with "
                                "the same first group stay on one side, for example '^(seq\\d+)/'.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, crops, noise and of the split.", lower_bound=0)
_CHECKPOINT_EVERY = flags.DEFINE_integer("checkpoint_every", 500, "Steps between checkpoints; each is validated.")


def main():
    for flag, value in (("codec", _CODEC.value), ("lmbda", _LMBDA.value), ("frames", _FRAMES.value),
                        ("output", _OUTPUT.value)):
        if not value:
            raise command.UsageError(f"--{flag} is missing")
    lmbdas = command.numbers("lmbda", _LMBDA.value)
    if not 0 < _VAL.value < 1 or not math.isfinite(_LEARNING_RATE.value):
        raise command.UsageError("--val_fraction must be between 0 and 1, --learning_rate a number")
    from tfod_compress.training.codec import sweep

    models = sweep.train(
        _CODEC.value, lmbdas, _FRAMES.value, _OUTPUT.value, _STEPS.value, val_fraction=_VAL.value,
        split_by=_SPLIT_BY.value, checkpoint_every=_CHECKPOINT_EVERY.value, say=lambda line: print(line, flush=True),
        num_filters=_NUM_FILTERS.value, num_latents=_NUM_LATENTS.value, crop=_CROP.value,
        batch_size=_BATCH_SIZE.value, learning_rate=_LEARNING_RATE.value, seed=_SEED.value,
        start_from=_START_FROM.value)
    for model in models:
        measured = model.content["validation"]
        print(f"{model.folder}: {model.codec} {model.model_hash[:8]}, lmbda {model.lmbda:g}: {measured['bpp']:.4f} "
              f"bits per pixel, {measured['psnr_db']:.2f} dB on {measured['frames']} validation frames")


if __name__ == "__main__":
    command.run(main)
