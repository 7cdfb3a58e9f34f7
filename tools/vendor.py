"""Fetch MathJax and mermaid from npm into vendor/, so that the built pages need no network.

Run by ``make book``. Where npm is missing or fails, the pages load both from a public server
instead, and this says so.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor"
PACKAGES = {"mathjax": "3.2.2", "mermaid": "11.17.2"}

# What the pages load, from the folder of the package to the folder served under _static.
SERVED = {
    "mathjax": {
        "es5/tex-mml-chtml.js": "mathjax/tex-mml-chtml.js",
        "es5/input/tex/extensions": "mathjax/input/tex/extensions",
        "es5/output/chtml/fonts/woff-v2": "mathjax/output/chtml/fonts/woff-v2",
    },
    "mermaid": {
        "dist/mermaid.esm.min.mjs": "mermaid/mermaid.esm.min.mjs",
        "dist/chunks/mermaid.esm.min": "mermaid/chunks/mermaid.esm.min",
    },
}
# What the site check runs under node; not served.
CHECKED = {"mathjax": {"es5": "mathjax-node"}}


def fetch(package: str, version: str, folder: Path) -> Path:
    """Download one npm package and unpack it; return the folder of its files."""
    subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{version}"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    unpacked = folder / package
    with tarfile.open(folder / f"{package}-{version}.tgz") as archive:
        archive.extractall(unpacked, filter="data")
    return unpacked / "package"


def copy(source: Path, target: Path) -> None:
    """Copy a file or a tree, without source maps."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.map"), dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def main() -> int:
    """Fill vendor/ in one step, so that a run that was cut off leaves nothing half done."""
    if shutil.which("npm") is None:
        print("npm not found: the pages will load MathJax and mermaid from a public server.")
        print("Install Node.js to build a site that reads offline.")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        fresh = scratch / "vendor"
        for package, version in PACKAGES.items():
            try:
                files = fetch(package, version, scratch)
            except subprocess.CalledProcessError as error:
                print(f"npm could not fetch {package}@{version} (exit {error.returncode}):")
                print("the pages will load MathJax and mermaid from a public server.")
                return 0
            for source, target in SERVED[package].items():
                copy(files / source, fresh / "static" / target)
            for source, target in CHECKED.get(package, {}).items():
                copy(files / source, fresh / target)
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.move(fresh, VENDOR)
    (VENDOR / ".ready").touch()
    size = sum(f.stat().st_size for f in (VENDOR / "static").rglob("*") if f.is_file())
    print(f"vendored MathJax and mermaid: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
