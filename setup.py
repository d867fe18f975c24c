"""Packaging. The supported install is an editable one from a checkout: see README.md."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
DEVELOPMENT = ("hypothesis", "pytest", "ruff")


def requirements():
    """The lines of requirements.in, without comments."""
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def version():
    text = (ROOT / "tfod_compress" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text).group(1)


setuptools.setup(
    name="tfod_compress",
    version=version(),
    description="How far can labelled frames be compressed before an object detector suffers?",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.12",
    packages=setuptools.find_packages(include=["tfod_compress", "tfod_compress.*", "tools"]),
    package_data={"tfod_compress": ["report/*.j2", "report/published/*.csv"]},
    install_requires=[line for line in requirements() if not line.startswith(DEVELOPMENT)],
    extras_require={
        "gpu": ["tensorflow[and-cuda]==2.14.1"],
        "dev": [line for line in requirements() if line.startswith(DEVELOPMENT)],
    },
    entry_points={"console_scripts": ["model_main_tf2.py = tools.model_main_tf2:entry"]},
)
