"""CompressAI's bmshj2018-hyperprior for benchmarks.learned_codecs, run by the Python of an environment that has it.

Arguments: picture.npy, channels, channels of the latents, deviation of the latents, threads. Answers are lines of JSON;
questions are lines "encode SECONDS" and "decode SECONDS". Needs nothing of this project.
"""

import importlib.metadata
import json
import sys
import time

import numpy as np
import torch
from compressai.models import ScaleHyperprior


def main():
    picture, num_filters, num_latents, deviation, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    rgb = np.load(picture)
    model = _scaled(ScaleHyperprior(int(num_filters), int(num_latents)).eval(), _tensor(rgb), float(deviation))
    model.update(force=True)
    coded = _encode(model, rgb)
    size = sum(len(string) for strings in coded["strings"] for string in strings)
    work = {"encode": lambda: _encode(model, rgb), "decode": lambda: _decode(model, coded)}
    for run in work.values():
        run()
    version = f"{importlib.metadata.version('compressai')}, PyTorch {torch.__version__}"
    _say({"bpp": 8 * size / (rgb.shape[0] * rgb.shape[1]), "version": version})
    for line in sys.stdin:
        direction, seconds = line.split()
        _say(_timed(work[direction], float(seconds)))


def _scaled(model, x, deviation):
    """The model with latents of mean 0 and this deviation on the picture, which its hyper-synthesis expects."""
    y = model.g_a(x)
    factor = deviation / y.std(dim=(0, 2, 3))
    last = model.g_a[-1]
    last.weight.mul_(factor[:, None, None, None])
    last.bias.copy_((last.bias - y.mean(dim=(0, 2, 3))) * factor)
    convolution = [layer for layer in model.h_s if hasattr(layer, "bias")][-1]
    convolution.weight.mul_(0.01)
    convolution.bias.fill_(deviation)
    return model


def _tensor(rgb):
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def _encode(model, rgb):
    return model.compress(_tensor(rgb))


def _decode(model, coded):
    x_hat = model.decompress(coded["strings"], coded["shape"])["x_hat"]
    return (x_hat.clamp(0, 1) * 255).round().to(torch.uint8)[0].permute(1, 2, 0).contiguous().numpy()


def _timed(run, seconds):
    count, began, worked = 0, time.perf_counter(), time.process_time()
    while True:
        run()
        count += 1
        passed = time.perf_counter() - began
        if passed >= seconds:
            return {"seconds": passed / count, "processor_seconds": (time.process_time() - worked) / count}


def _say(answer):
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
