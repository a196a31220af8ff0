"""The source files, by the names that their modules have when installed."""

from pathlib import Path

ROOT = Path(__file__).parent.parent

# How the package is installed: the last two are folders of their own in the checkout.
PACKAGES = {
    "tfrs_gru4rec": "tfrs_gru4rec",
    "tfrs_gru4rec.datasets": "datasets",
    "tfrs_gru4rec.export": "export",
}


def source_files() -> dict[str, Path]:
    """Returns every source file by the name of its module as installed."""
    modules = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder).with_suffix("").parts
            modules[".".join((package, *inside)).removesuffix(".__init__")] = path
    return modules
