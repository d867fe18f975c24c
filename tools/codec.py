"""Codecs by themselves: list them, encode and decode one picture, or measure them over a folder.

  list                 every codec, its qualities and whether this machine has it
  encode IN OUT        a BMP, PNG or JPEG picture to the codec's own bytes
  decode IN OUT.png    such bytes to a PNG picture
  bench DIR            bytes, PSNR, MS-SSIM, PSNR-HVS, VMAF and time of each picture, codec and quality: rd.csv;
                       against JPEG: bd_rate.csv; curves: rate_distortion.png, rate_distortion.html

Examples:
  python -m tools.codec list
  python -m tools.codec encode --codec webp --quality 50 picture.png picture.webp
  python -m tools.codec decode --codec webp picture.webp decoded.png
  python -m tools.codec bench pictures --codecs jpeg,webp --quality 5,50,95 --output runs/rd
  python -m tools.codec bench pictures --codecs all --output runs/rd
  python -m tools.codec bench pictures --codecs vvc:preset=slow,avif444:speed=0 --output runs/rd
  python -m tools.codec encode --codec bmshj2018 --codec_model runs/bmshj2018 picture.png picture.tlc
  python -m tools.codec bench pictures --codecs bmshj2018 --codec_model runs/bmshj2018 --output runs/rd
  python -m tools.codec encode --codec tfci --codec_model bmshj2018-hyperprior-msssim-5 picture.png picture.tfci

A bench that was interrupted goes on where it stopped; codecs given later are added to what is there.
"""

from absl import flags

from tools import command

_CODEC = flags.DEFINE_string("codec", None, "encode, decode: the codec.")
_QUALITY = flags.DEFINE_list("quality", None, "encode: the quality; without it the codec's default. bench: one "
                             "quality or several; without it each codec's own list.")
_MODEL = flags.DEFINE_string("codec_model", None, "Folder of a learned codec's model, or of several models: each is a "
                             "quality, its lambda. Of codec tfci: a published model or family of models, such as "
                             "bmshj2018-hyperprior-msssim, or a folder of their metagraphs.")
_CODECS = flags.DEFINE_list("codecs", None, "bench: codecs, with options perhaps (name:option=value), or all.")
_OUTPUT = flags.DEFINE_string("output", None, "bench: folder for the tables and curves.")
_WORKERS = flags.DEFINE_integer("workers", 0, "bench: processes; 0: one for each core.", lower_bound=0)
_SLOW_METRICS = flags.DEFINE_bool("hvs_and_vmaf", True, "bench: measure PSNR-HVS and VMAF too, by imageio-ffmpeg.")


def main(arguments):
    commands = {"list": _list, "encode": _encode, "decode": _decode, "bench": _bench}
    if not arguments or arguments[0] not in commands:
        raise command.UsageError(f"say what to do: {', '.join(commands)}")
    return commands[arguments[0]](*_operands(arguments))


def _operands(arguments):
    wanted = {"list": 0, "encode": 2, "decode": 2, "bench": 1}[arguments[0]]
    if len(arguments) - 1 != wanted:
        raise command.UsageError(f"{arguments[0]} takes {wanted or 'no'} path{'s' if wanted != 1 else ''}, "
                                 f"not {len(arguments) - 1}")
    return arguments[1:]


def _list():
    from rich import console, table

    from tfod_compress.codecs import files

    shown = table.Table(box=None, pad_edge=False)
    for column in ("codec", "qualities", "best", "what", "this machine"):
        shown.add_column(column, no_wrap=column != "what")
    for row in files.catalogue():
        shown.add_row(*row)
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=160)).print(shown, markup=False)


def _encode(source, target):
    from tfod_compress.codecs import files

    done = files.encode_file(_named(), source, target, _single_quality(), **_options())
    print(f"{target}: {done.size} bytes, {done.bpp:.4f} bits per pixel of {done.width}x{done.height}")


def _decode(source, target):
    from tfod_compress.codecs import files

    height, width, _ = files.decode_file(_named(), source, target, **_options())
    print(f"{target}: {width}x{height}")


def _bench(folder):
    if not _CODECS.value or not _OUTPUT.value:
        raise command.UsageError(f"--{'codecs' if not _CODECS.value else 'output'} is missing")
    from tfod_compress import rate_distortion

    result = rate_distortion.run(
        folder, _CODECS.value, _OUTPUT.value, qualities=None if _QUALITY.value is None else _qualities(),
        codec_model=_MODEL.value, workers_count=_WORKERS.value or None, hvs_and_vmaf=_SLOW_METRICS.value, say=print)
    if result.bd_rates:
        _table(result.bd_rates)
    print(f"{len(result.rows)} rows in {_OUTPUT.value}/rd.csv")


def _table(found):
    from rich import console, table

    shown = table.Table(title=f"BD-rate against {found[0].reference}, RGB PSNR", title_justify="left")
    for column in ("codec", "method", "BD-rate %", "overlap", "range dB"):
        shown.add_column(column, justify="left" if column in ("codec", "method") else "right", no_wrap=True)
    for row in found:
        shown.add_row(row.codec, row.method, "" if row.percent is None else f"{row.percent:+.1f}",
                      f"{100 * row.overlap:.0f} %", f"{row.low_db:.1f} to {row.high_db:.1f}")
    wide = console.Console()
    (wide if wide.is_terminal else console.Console(width=120)).print(shown, markup=False)


def _named():
    if not _CODEC.value:
        raise command.UsageError("--codec is missing")
    return _CODEC.value


def _options():
    return {"model": _MODEL.value} if _MODEL.value else {}


def _single_quality():
    found = _qualities() if _QUALITY.value is not None else [None]
    if len(found) != 1:
        raise command.UsageError("encode takes one --quality")
    return found[0]


def _qualities():
    return command.numbers("quality", _QUALITY.value)


if __name__ == "__main__":
    command.run(main, positional=True)
