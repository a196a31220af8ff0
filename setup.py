"""Installs the three top-level folders as one package, tfrs_gru4rec.

The folders `datasets/` and `export/` become `tfrs_gru4rec.datasets` and `tfrs_gru4rec.export`: a top-level
package named `datasets` would break everyone who uses another library of that name.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
README = ROOT / "README.md"

FOLDERS = {
    "tfrs_gru4rec": "tfrs_gru4rec",
    "tfrs_gru4rec.datasets": "datasets",
    "tfrs_gru4rec.export": "export",
}

COMMANDS = ("train", "daily", "evaluate", "export", "serve", "recommend", "prepare")

# TFRS 0.7 is written for Keras 2, so tf-keras comes with each TensorFlow, of the same minor version.
REQUIREMENTS = [
    "absl-py>=2.1,<3",
    "importlib_resources>=6.0,<8",  # imported by tensorflow-datasets 4.9.10, which does not ask for it
    "numpy>=2.2,<2.5",
    "pandas>=2.3,<4",
    "pyarrow>=20,<27",
    "scipy>=1.13,<2",
    "tensorboard>=2.20,<2.22",  # tf.summary needs it, and TensorFlow 2.21 no longer brings it
    "tensorflow>=2.20,<2.22",
    "tensorflow-datasets>=4.9.10,<4.10",
    "tensorflow-recommenders>=0.7.7,<0.8",
    "tf-keras>=2.20,<2.22",
]

EXTRAS = {
    "serving": [
        "grpcio>=1.74,<2",
        "grpcio-health-checking>=1.74,<2",
        "prometheus-client>=0.21,<1",
        "tensorflow-serving-api>=2.20,<2.22",
    ],
    # The command line `tfds` imports both at its start; building through Python needs neither.
    "tfds-cli": ["apache-beam>=2.65,<3", "mlcroissant>=1.0.9,<2"],
    "plots": ["matplotlib>=3.9,<4"],
    "archives": ["py7zr>=0.22,<2"],  # reads the RecSys Challenge 2015 archive without unpacking it first
    "dev": [
        "dill>=0.3.8,<0.5",  # tfds.testing imports it
        "hypothesis>=6.120,<7",
        "mypy>=1.15,<3",
        "pre-commit>=4,<5",
        "pytest>=8.3,<10",
        "pytest-xdist>=3.6,<4",
        "ruff>=0.9,<1",
        "setuptools>=70.1,<81",  # tensorboard 2.20 imports pkg_resources, which later ones drop
    ],
}

# Files beside the code that it reads at run time, or that a user should find where it is installed.
DATASET_FILES = ["**/README.md", "**/CITATIONS.bib", "**/TAGS.txt", "**/checksums.tsv", "**/dummy_data/**/*"]


def read_version() -> str:
    """Returns the version that tfrs_gru4rec states, without importing it."""
    source = (ROOT / "tfrs_gru4rec" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise RuntimeError('tfrs_gru4rec/__init__.py must hold a line __version__ = "x.y.z".')
    return match.group(1)


def find_mapped_packages() -> tuple[list[str], dict[str, str]]:
    """Returns all package names and the folder of each, sub-packages included."""
    folders = dict(FOLDERS)
    for package, folder in FOLDERS.items():
        for name in find_packages(str(ROOT / folder)):
            folders[f"{package}.{name}"] = f"{folder}/{name.replace('.', '/')}"
    return sorted(folders), folders


packages, package_dir = find_mapped_packages()

setup(
    name="tfrs_gru4rec",
    version=read_version(),
    description="GRU4Rec for TensorFlow Recommenders, from click log to live session-based serving",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    classifiers=[
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.13",
    packages=packages,
    package_dir=package_dir,
    package_data={
        "tfrs_gru4rec": ["py.typed", "presets/*.flags"],
        "tfrs_gru4rec.datasets": DATASET_FILES,
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [f"gru4rec-{command} = tfrs_gru4rec.cli.{command}:run" for command in COMMANDS],
    },
    zip_safe=False,
)
