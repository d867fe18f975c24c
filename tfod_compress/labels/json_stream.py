"""Walk the arrays of a large JSON object item by item, in bounded memory."""

import json

CHUNK = 1 << 20
MAX_ITEM = 64 << 20  # characters of one array item or of one value that is no array


class JsonError(ValueError):
    """The text is not the JSON it should be; one line."""


def top_level_items(file, wanted):
    """The items of the arrays that a JSON object holds directly.

    Args:
      file: open text file whose content is one JSON object.
      wanted: names of the arrays to walk; the values of other names are passed over.

    Yields:
      (name, index, item); (name, None, None) once where a wanted array begins, so that an empty one is seen.

    Raises:
      JsonError: not JSON, not an object, a wanted name holds no array, or an item is too large.
    """
    text = _Text(file)
    text.expect("{")
    if text.peek() == "}":
        return
    while True:
        name = text.value()
        if not isinstance(name, str):
            raise JsonError("not JSON: a name is no text")
        text.expect(":")
        if text.peek() == "[":
            if name in wanted:
                yield name, None, None
            for index, item in enumerate(_items(text)):
                if name in wanted:
                    yield name, index, item
        elif name in wanted:
            raise JsonError(f"{name!r} is no array")
        else:
            text.value()
        if text.take() == "}":
            return
        text.back(",", "}")


def _items(text):
    text.expect("[")
    if text.peek() == "]":
        text.take()
        return
    while True:
        yield text.value()
        if text.take() == "]":
            return
        text.back(",", "]")


class _Text:
    """A window on the file that grows only as far as one value needs."""

    def __init__(self, file):
        self._file, self._text, self._at, self._last = file, "", 0, ""
        self._decoder = json.JSONDecoder()

    def peek(self):
        """The next character that is not white space; JsonError at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                raise JsonError("not JSON: the file ends too early")

    def take(self):
        self._last = self.peek()
        self._at += 1
        return self._last

    def expect(self, character):
        if self.take() != character:
            raise JsonError(f"not JSON: {self._last!r} where {character!r} should be")

    def back(self, separator, end):
        """Checks that what was last taken is the separator."""
        if self._last != separator:
            raise JsonError(f"not JSON: {self._last!r} where {separator!r} or {end!r} should be")

    def value(self):
        """The next JSON value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number near the window's end may go on behind it, "2" as "2.5" or "2e+3".
                if end + 3 <= len(self._text) or not self._more():
                    self._at = end
                    return value
            except RecursionError as error:
                raise JsonError("not JSON that can be read: nested too deeply") from error
            except ValueError as error:
                if len(self._text) - self._at > MAX_ITEM:
                    raise JsonError(f"one value is longer than {MAX_ITEM >> 20} million characters") from error
                if not self._more(len(self._text) - self._at):
                    raise JsonError(f"not JSON: {str(error).split(':')[0]}") from error

    def _more(self, size=0):
        # Reading as much again as is held keeps the work linear for a value of any length.
        chunk = self._file.read(max(CHUNK, size))
        if chunk:
            self._text, self._at = self._text[self._at:] + chunk, 0
        return bool(chunk)
