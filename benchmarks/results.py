"""Rows by section, kept in a file: a run that was stopped goes on where it was."""

import dataclasses
import hashlib
import json
from pathlib import Path

from report import Row
from sections import CPU
from settings import Settings
from timing import machine, today, versions

ROOT = Path(__file__).resolve().parents[1]
#: Files of this folder that decide what is measured; the others only print.
MEASURES = (
    "annotated.py",
    "decoding.py",
    "memory.py",
    "peers.py",
    "sections.py",
    "settings.py",
    "timing.py",
)


class Results:
    """Rows by section in a JSON file; those of another machine, version or code are dropped."""

    def __init__(self, path: Path, settings: Settings, fresh: bool):
        here = ROOT / "benchmarks"
        sources = [
            *sorted((ROOT / "encoderlib").rglob("*.py")),
            *(here / name for name in MEASURES),
        ]
        code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
        self.path = path
        self.conditions = {
            "machine": machine(CPU),
            "versions": versions(),
            "code": code[:12],
            # as JSON gives them back
            "settings": json.loads(json.dumps(dataclasses.asdict(settings))),
        }
        self.sections: dict[str, dict] = {}
        if path.exists() and not fresh:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["conditions"] == self.conditions:
                self.sections = kept["sections"]

    def save(self, name: str, rows: list[Row], seconds: float) -> None:
        """Add one section and write the file anew."""
        self.sections[name] = {"date": today(), "took": round(seconds, 1), "rows": rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"conditions": self.conditions, "sections": self.sections}, indent=1)
        partial = self.path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path)
