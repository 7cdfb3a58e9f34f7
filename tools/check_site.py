"""Check a built site: links, mathematics, figures, and that it needs no network.

``python -m tools.check_site book/_build/html`` prints every problem with its page and exits 1
if there is one.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from tools.notebooks import ROOT

MATHJAX = ROOT / "vendor" / "mathjax-node"

# Typesets every formula with the site's own MathJax. Without the noerrors and noundefined
# extensions a mistake throws instead of turning red on the page.
TYPESET = """
require(process.argv[1] + '/node-main.js').init({
  loader: {paths: {mathjax: process.argv[1]}, load: ['input/tex-full', 'adaptors/liteDOM']},
  tex: {packages: {'[-]': ['noerrors', 'noundefined', 'bussproofs']},
        formatError: (jax, error) => { throw error; }},
}).then(async (MathJax) => {
  const formulas = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const errors = formulas.map((tex) => {
    try { const mml = MathJax.tex2mml(tex.text, {display: tex.display});
          return mml.includes('<merror') ? 'merror' : null; }
    catch (error) { return error.message; }
  });
  console.log(JSON.stringify(errors));
}).catch((error) => { console.error(error); process.exit(2); });
"""


def pages(site: Path) -> dict[Path, BeautifulSoup]:
    """Every page of the site, parsed."""
    found = {
        page: BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for page in sorted(site.rglob("*.html"))
        if "_static" not in page.relative_to(site).parts
    }
    if not found:
        raise SystemExit(f"no page in {site}; run `make book` first")
    return found


def check_links(site: Path, parsed: dict[Path, BeautifulSoup]) -> list[str]:
    """Every link, image, style and script inside the site must lead somewhere."""
    problems = []
    anchors = {
        page.resolve(): {tag["id"] for tag in soup.find_all(id=True)}
        | {tag["name"] for tag in soup.find_all("a", attrs={"name": True})}
        for page, soup in parsed.items()
    }
    for page, soup in parsed.items():
        for tag in soup.find_all(["a", "link", "img", "script", "iframe", "source"]):
            target = tag.get("href") or tag.get("src")
            parts = urlsplit(target or "")
            if not target or parts.scheme or parts.netloc:
                continue
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            path = path / "index.html" if path.is_dir() else path
            name = page.relative_to(site)
            if not path.exists():
                problems.append(f"{name}: link to {target}, but there is no such file")
            elif (
                parts.fragment
                and tag.name == "a"
                and unquote(parts.fragment) not in anchors.get(path, {unquote(parts.fragment)})
            ):
                problems.append(f"{name}: link to {target}, but that page has no such place")
    return problems


def check_network(site: Path, parsed: dict[Path, BeautifulSoup]) -> list[str]:
    """A page may link to the network but must load nothing from it."""
    problems = []
    for page, soup in parsed.items():
        name = page.relative_to(site)
        for tag in soup.find_all(["script", "img", "link", "iframe", "source"]):
            target = tag.get("src") or (tag.get("href") if tag.name == "link" else None) or ""
            relation = set(tag.get("rel") or [])
            if urlsplit(target).netloc and relation.isdisjoint({"canonical", "preconnect"}):
                problems.append(f"{name}: loads {target} from the network")
        for script in soup.find_all("script", attrs={"type": "module"}):
            if 'from "http' in script.text or "import('http" in script.text:
                problems.append(f"{name}: a script imports a module from the network")
    return problems


def check_figures(site: Path, parsed: dict[Path, BeautifulSoup]) -> list[str]:
    """Every picture in the text says what it shows."""
    problems = []
    for page, soup in parsed.items():
        article = soup.find("article") or soup
        name = page.relative_to(site)
        for image in article.find_all("img"):
            if not (image.get("alt") or "").strip() or image["alt"] == image.get("src"):
                problems.append(f"{name}: image {image.get('src')} has no alt text")
        for figure in article.select("div.encoderlib-figure > svg"):
            if not (figure.get("aria-label") or "").strip():
                problems.append(f"{name}: a figure has no description")
        if article.select(".cell_output .stderr, .cell_output .traceback"):
            problems.append(f"{name}: a cell shows a warning or an error")
    return problems


def check_math(site: Path, parsed: dict[Path, BeautifulSoup]) -> list[str]:
    """Every formula must typeset without an error in the MathJax that the site uses."""
    formulas = []
    for page, soup in parsed.items():
        for tag in soup.select(".math"):
            text = tag.get_text().strip()
            for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
                if text.startswith(opening) and text.endswith(closing):
                    formulas.append(
                        {
                            "page": str(page.relative_to(site)),
                            "text": text[2:-2],
                            "display": opening == "\\[",
                        }
                    )
    if not formulas:
        return []
    if shutil.which("node") is None or not MATHJAX.is_dir():
        print("[SKIP] mathematics: node or the vendored MathJax is missing (run `make book`)")
        return []
    result = subprocess.run(
        ["node", "-e", TYPESET, str(MATHJAX)],
        input=json.dumps(formulas),
        capture_output=True,
        text=True,
    )
    if result.returncode:
        return [f"MathJax did not run: {result.stderr.strip()[-400:]}"]
    errors = json.loads(result.stdout.strip().splitlines()[-1])
    return [
        f"{formula['page']}: MathJax error '{error}' in {formula['text'][:80]!r}"
        for formula, error in zip(formulas, errors, strict=True)
        if error
    ]


CHECKS = {
    "links": check_links,
    "network": check_network,
    "figures": check_figures,
    "mathematics": check_math,
}


def main() -> int:
    """Run every check on one site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, nargs="?", default=ROOT / "book/_build/html")
    options = parser.parse_args()
    parsed = pages(options.site)
    failed = False
    for name, check in CHECKS.items():
        if name == "network" and not (ROOT / "vendor" / "static").is_dir():
            print("[SKIP] network: nothing vendored (npm missing), pages load from public servers")
            continue
        problems = check(options.site, parsed)
        print(f"[{'FAIL' if problems else ' OK '}] {name}")
        for problem in problems:
            print(f"       {problem}")
        failed |= bool(problems)
    size = sum(f.stat().st_size for f in options.site.rglob("*") if f.is_file())
    print(f"{len(parsed)} pages, {size / 1e6:.1f} MB: {options.site.resolve() / 'index.html'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
