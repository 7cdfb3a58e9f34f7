"""Execute the chapters, several at a time, into the cache that the build of the book reads.

The build would execute them one after the other. A chapter whose code has not changed is taken from
the cache, unless the library or the versions of the packages have.
"""

import argparse
import hashlib
import multiprocessing
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from tqdm import tqdm

from tools import notebooks

CACHE = Path("_build/.jupyter_cache")
WHAT = "made-with.txt"


def fingerprint(root: Path) -> str:
    """Of all that a page computes with: code, results of experiments, the packages' versions."""
    digest = hashlib.sha256(sys.version.encode())
    code = [path for name in ("encoderlib", "experiments") for path in (root / name).rglob("*.py")]
    sources = sorted([*code, *(root / "book/experiments").glob("*.json")])
    for path in [*sources, root / "constraints.txt"]:
        if path.exists():
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def open_cache(book: Path, made_with: str):
    """The cache of the build; an empty one if the kept results were computed with other code."""
    folder = book / CACHE
    note = folder / WHAT
    if folder.exists() and (not note.exists() or note.read_text() != made_with):
        shutil.rmtree(folder)
    cache = get_cache(folder)
    cache.change_cache_limit(1000)
    note.write_text(made_with)
    return cache


def on_navigation(book: Path) -> list[Path]:
    """The executed pages that the table of contents names, in its order."""

    def files(node):
        for name in ("root", "file"):
            if name in node:
                yield node[name]
        for name in ("parts", "chapters", "sections"):
            for child in node.get(name, ()):
                yield from files(child)

    toc = yaml.safe_load((book / "_toc.yml").read_text(encoding="utf-8"))
    pages = [book / f"{name}.md" for name in files(toc)]
    return [page for page in pages if page.exists() and notebooks.is_notebook(page)]


def read(page: Path, extensions: list[str]) -> nbformat.NotebookNode:
    """A page as the build reads it, so that the cache recognises it."""
    config = MdParserConfig(enable_extensions=set(extensions))
    text = page.read_text(encoding="utf-8")
    return read_myst_markdown_notebook(text, config, add_source_map=True, path=page)


def run(page: Path, notebook: nbformat.NotebookNode, timeout: float):
    """The executed notebook, and its seconds or its traceback."""
    result = single_nb_execution(
        notebook, cwd=str(page.parent), timeout=timeout, allow_errors=False, meta_override=True
    )
    return notebook, result.exc_string if result.err else result.time


def quiet() -> None:
    """Kernels say on stderr how they talk to us; what goes wrong in a page comes back by itself."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def execute(book: Path, made_with: str, processes: int = 2) -> dict[Path, float | str]:
    """Seconds of each page that had to be executed, or the traceback of one that failed."""
    settings = yaml.safe_load((book / "_config.yml").read_text(encoding="utf-8"))
    cache = open_cache(book, made_with)
    pages = {
        page: read(page, settings["parse"]["myst_enable_extensions"])
        for page in on_navigation(book)
    }
    for page in list(pages):
        try:
            cache.match_cache_notebook(pages[page])
        except KeyError:
            continue
        del pages[page]

    done: dict[Path, float | str] = {}
    timeout = settings["execute"]["timeout"]
    with (
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), quiet) as pool,
        tqdm(total=len(pages), unit="chapter") as bar,
    ):
        waiting = {pool.submit(run, page, pages[page], timeout): page for page in pages}
        for future in as_completed(waiting):
            page = waiting[future]
            notebook, done[page] = future.result()
            bar.update()
            if isinstance(done[page], str):
                continue
            tqdm.write(f"{done[page]:5.1f} s  {page.relative_to(book)}")
            data = {"execution_seconds": done[page]}
            bundle = CacheBundleIn(notebook, str(page), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return done


def main() -> int:
    """Execute what the cache does not hold; 1 if a page fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--processes", type=int, default=2, help="pages at a time (2)")
    parser.add_argument("--root", type=Path, default=notebooks.ROOT, help="folder of book/")
    options = parser.parse_args()
    start = time.monotonic()
    root = options.root.resolve()
    done = execute(root / "book", fingerprint(root), options.processes)
    for page, result in done.items():
        if isinstance(result, str):
            print(f"\n{page.relative_to(root)} fails:\n{result}")
    print(f"{len(done)} pages executed in {time.monotonic() - start:.0f} s")
    return any(isinstance(result, str) for result in done.values())


if __name__ == "__main__":
    sys.exit(main())
