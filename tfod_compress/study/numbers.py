"""A number by its name."""


def metric(metrics, name):
    """A metric's value of a metrics.json, such as "weighted_map" or "coco.AP", or None."""
    for part in name.split("."):
        metrics = metrics.get(part) if isinstance(metrics, dict) else None
    return metrics.get("value") if isinstance(metrics, dict) else metrics
