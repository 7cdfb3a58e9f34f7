"""Reading a submission, whatever the bytes are: which cell is whose, and what runs when."""

from grading.intake.files import normal_name
from grading.intake.plan import Plan, Step
from grading.intake.submission import read_submission

__all__ = ["Plan", "Step", "normal_name", "read_submission"]
