"""One model for each lambda, trained on the same frames."""

import pathlib

from tfod_compress.support.errors import InputError
from tfod_compress.training.codec import crops, loop


def train(codec, lmbdas, frames, output, steps, *, val_fraction=0.1, split_by=None, checkpoint_every=500,
          say=lambda line: None, **settings):
    """Trains the models one after the other.

    Args:
      codec: name of the model.
      lmbdas: numbers; one model goes into `output` itself, several into lmbda-<number> below it.
      frames: folder of frames, or a record set.
      output: folder.
      steps: of each model.
      val_fraction: see `crops.open_frames`.
      split_by: likewise.
      checkpoint_every: see `loop.train`.
      say: called with each line that the user should read.
      **settings: the other fields of `loop.Settings`.

    Returns:
      [`model_folder.Description`].

    Raises:
      InputError: bad settings or frames, found before anything is trained; or what `loop.train` raises.
    """
    if len(set(lmbdas)) != len(lmbdas):
        raise InputError("--lmbda: the same number twice")
    runs = {lmbda: loop.Settings(codec, lmbda, **settings).checked() for lmbda in lmbdas}
    split = crops.open_frames(frames, val_fraction, split_by, runs[lmbdas[0]].seed, say)
    output = pathlib.Path(output)
    return [loop.train(run, split, output if len(runs) == 1 else output / f"lmbda-{lmbda:g}", steps,
                           checkpoint_every=checkpoint_every, frames_name=str(frames), say=say)
            for lmbda, run in runs.items()]
