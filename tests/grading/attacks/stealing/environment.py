"""Read the environment: the variable that the runner planted."""

FIRST = """{{TELL}}
import os

tell(os.environ.get("GRADING_SECRET", ""))
tell(os.environb.get(b"GRADING_SECRET", b""))
"""
