"""What a reader must know of the frames: what they were, what is odd about them, which a detector had seen before."""

from tfod_compress.records import sources as record_sources


def sources(study) -> list[str]:
    """Sentences about the source frames, each once however many record sets say it."""
    return list(dict.fromkeys(record_sources.told(manifest["sources"]) for manifest, _ in study.manifests().values()
                              if "sources" in manifest))


def warnings(study) -> list[str]:
    """What is odd: the record sets' own warnings, such as near duplicates across the split, and frames trained on."""
    lines = [line for manifest, _ in study.manifests().values() for line in manifest.get("warnings") or ()]
    for entry in study.evaluated:
        seen = entry.metrics.training_frames
        if seen:
            lines.append(f"{entry.point.detector} ({entry.point.regime}) was trained on {seen} of the "
                         f"{entry.metrics.images} frames that it is tested on; its numbers say nothing about others")
    return list(dict.fromkeys(lines))
