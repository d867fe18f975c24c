"""Lists in messages for people."""

LISTED = 5  # how many offenders an error names
CLASSES = 20  # how many classes a line names


def listed(items, count: int = LISTED) -> str:
    """The first few items as text, each once: "1, 2, 3 and 9 more"."""
    items = list(dict.fromkeys(items))
    text = ", ".join(str(item) for item in items[:count])
    return text + (f" and {len(items) - count} more" if len(items) > count else "")
