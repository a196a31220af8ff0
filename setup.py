"""Installs the three top-level folders as one package, tfrs_gru4rec; all else stands in pyproject.toml.

The folders `datasets/` and `export/` become `tfrs_gru4rec.datasets` and `tfrs_gru4rec.export`: a top-level
package named `datasets` would break everyone who uses another library of that name.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent

FOLDERS = {
    "tfrs_gru4rec": "tfrs_gru4rec",
    "tfrs_gru4rec.datasets": "datasets",
    "tfrs_gru4rec.export": "export",
}


def find_mapped_packages() -> dict[str, str]:
    """Returns the folder of each package by its name, sub-packages and folders of data included.

    Setuptools warns, page after page, of a folder of data that is no package.
    """
    folders = dict(FOLDERS)
    for package, folder in FOLDERS.items():
        for name in find_namespace_packages(str(ROOT / folder), exclude=["*__pycache__*", "*.dummy_data.*"]):
            folders[f"{package}.{name}"] = f"{folder}/{name.replace('.', '/')}"
    return folders


package_dir = find_mapped_packages()

setup(packages=sorted(package_dir), package_dir=package_dir)
