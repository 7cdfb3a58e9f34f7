"""What an instructor sees after grading: pages and tables for the class and for each submission."""

from grading.report.build import report
from grading.report.pages import write_report
from grading.report.summary import ClassSummary, Misconception, TaskSummary, summarise

__all__ = ["ClassSummary", "Misconception", "TaskSummary", "report", "summarise", "write_report"]
