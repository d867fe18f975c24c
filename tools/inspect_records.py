"""Check a record set, say what is in it and what is odd, and draw its boxes.

Examples:
  python -m tools.inspect_records tfrecords/jpeg-q20
  python -m tools.inspect_records tfrecords/jpeg-q20 --gallery /tmp/pictures

Exit code 1 where anything is damaged or odd.
"""

from absl import flags

from tools import command

_GALLERY = flags.DEFINE_string("gallery", None, "Folder that gets pictures with their boxes.")
_PICTURES = flags.DEFINE_integer("pictures", 16, "How many pictures, spread over the set.")


def main(paths):
    if not paths:
        raise command.UsageError("name a record set, such as tfrecords/jpeg-q20")
    if _PICTURES.value < 1:
        raise command.UsageError("--pictures must be positive")
    from tfod_compress.records import inspection

    odd = 0
    for path in paths:
        found = inspection.inspect(path, _GALLERY.value, _PICTURES.value)
        print(found.text())
        odd += len(found.odd)
    return 1 if odd else 0


if __name__ == "__main__":
    command.run(main, positional=True)
