"""Damaged bitstreams: every decoder returns a picture or raises our own error; nothing crashes, hangs or grows.

Each codec's decoder runs over mutations in a process of its own, whose memory is limited, so that a crash is seen.
The default suite tries a few mutations; 1,000 of each codec:

  python -m pytest -m fuzz tests/codecs/test_fuzz_codecs.py

What the entropy coder wrote carries no checksum in any of these formats, so flipped bits may decode to another
picture of the same format; cut and foreign streams must be refused (tests/codecs/test_codecs.py).
"""

import collections
import os
import random
import re
import resource
import subprocess
import sys
import time
import warnings

import pytest

from tests import records_data
from tests.conftest import ROOT
from tfod_compress import codecs
from tfod_compress.support.errors import InputError

SLOWEST = 10.0  # seconds for one small input, on a busy machine
MAX_PIXELS = 1_000_000
MEMORY = 3 << 30  # address space of the process, beyond what it has before the first mutation
MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", 1000))


def originals(codec):
    """Valid bitstreams: two sizes, two qualities."""
    coarse, fine = (None, None) if codec.lossless else (
        codec.check_quality(round(codec.lowest + (codec.highest - codec.lowest) * share)) for share in (0.3, 0.8))
    return [codec.encode(records_data.scene(3, 33, 17), fine), codec.encode(records_data.scene(4, 48, 64), coarse)]


def mutated(data, generator):
    """A copy of `data` with one to six changes: bits, bytes, words, cuts, repeats; often in the header.

    Half of the time some bits behind the headers instead, which gets past all that is checked before decoding.
    """
    data = bytearray(data)
    if generator.random() < 0.5:
        for _ in range(generator.randint(1, 3)):
            data[generator.randrange(len(data) // 4, len(data) - 8)] ^= 1 << generator.randrange(8)
        return bytes(data)
    for _ in range(generator.randint(1, 6)):
        if not data:
            break
        at = generator.randrange(min(len(data), generator.choice((64, 200, len(data)))))
        kind = generator.choice(("bit", "bit", "bit", "byte", "word", "cut", "repeat", "remove", "insert"))
        if kind == "bit":
            data[at] ^= 1 << generator.randrange(8)
        elif kind == "byte":
            data[at] = generator.randrange(256)
        elif kind == "word":
            value = generator.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 256))
            data[at:at + 4] = value.to_bytes(4, generator.choice(("little", "big")))
        elif kind == "cut":
            del data[at:at + generator.choice((1, 10, len(data)))]
        elif kind == "repeat":
            data[at:at] = data[max(0, at - generator.randint(1, 64)):at]
        elif kind == "remove":
            del data[at:at + generator.randint(1, 8)]
        else:
            data[at:at] = generator.randbytes(generator.randint(1, 8))
    return bytes(data)


def fuzz(name, count, seed):
    """Decodes mutations in this process; prints what came of them. The tests call it in a process of its own."""
    codec, generator = codecs.get(name), random.Random(seed)
    codec.max_pixels = MAX_PIXELS
    valid, found, slowest = originals(codec), collections.Counter(), 0.0
    for data in valid:
        codec.decode(data)
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    for number in range(count):
        data = mutated(generator.choice(valid), generator)
        with open(f"{sys.argv[-1]}/last", "wb") as file:  # what to look at after a crash
            file.write(data)
        started = time.monotonic()
        try:
            rgb = codec.decode(data)
            assert rgb.dtype == "uint8" and rgb.ndim == 3 and rgb.shape[2] == 3 and 0 < rgb.size <= 3 * MAX_PIXELS
            found["pictures"] += 1
        except InputError as error:
            assert "\n" not in str(error), number
            found["refused"] += 1
        slowest = max(slowest, time.monotonic() - started)
    print(f"{found['refused']} refused, {found['pictures']} pictures, slowest {slowest:.2f} s, peak "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


def check(name, count, seed, folder):
    code = f"from tests.codecs.test_fuzz_codecs import fuzz; fuzz({name!r}, {count}, {seed})"
    process = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, capture_output=True, text=True,
                             timeout=120 + SLOWEST * count, check=False)
    assert process.returncode == 0, (
        f"{name}: ended with {process.returncode} over {folder / 'last'}: {process.stderr[-2000:]}")
    print(f"{name}: {process.stdout.strip()}")
    refused, slowest = re.match(r"(\d+) refused, .* slowest ([\d.]+) s", process.stdout).groups()
    assert int(refused) > 0.1 * count and float(slowest) < SLOWEST


@pytest.mark.parametrize("name", codecs.names())
def test_damaged_bitstreams_are_refused_or_decoded(name, tmp_path):
    codec, generator = codecs.get(name), random.Random(0)
    codec.max_pixels = MAX_PIXELS
    valid, refused = originals(codec), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(10):
            try:
                assert codec.decode(mutated(valid[1], generator)).dtype == "uint8"
            except InputError:
                refused += 1
    assert refused


@pytest.mark.fuzz
@pytest.mark.parametrize("name", codecs.names())
def test_a_thousand_damaged_bitstreams(name, tmp_path):
    check(name, MUTATIONS, 1, tmp_path)
