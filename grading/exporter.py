"""An exporter for nbgrader's own command, in which a failure is never a zero.

::

    nbgrader export --exporter=grading.exporter.StatusExporter --to marks.csv

and for an import into a learning management system the same with ``--assignment="['ps1']"
--StatusExporter.lms=True``.
"""

from pathlib import Path

from nbgrader.plugins import ExportPlugin
from traitlets import Bool

from grading.course import GradingError
from grading.marks_table import write_csv, write_lms_csv
from grading.standing import read_rows


class StatusExporter(ExportPlugin):
    """nbgrader's columns, then status, message and one column for each task.

    Who failed or handed in nothing has an empty score. With ``lms`` there are two columns, id and
    score, for one assignment, and only students who have a score.
    """

    lms = Bool(False, help="Write the two columns id and score for an import.").tag(config=True)

    def export(self, gradebook) -> None:
        """Write the file that ``--to`` names, or grades.csv.

        Raises:
            GradingError: ``lms`` is set and not exactly one assignment is chosen.
        """
        known = [assignment.name for assignment in gradebook.assignments]
        wanted = [str(name) for name in self.assignment] or known
        students = {str(name) for name in self.student}
        directory = self.parent.coursedir
        rows = {
            name: [
                row
                for row in read_rows(gradebook, directory, name)
                if not students or row.student in students
            ]
            for name in known
            if name in wanted
        }
        path = Path(self.to or "grades.csv")
        self.log.info("Exporting grades to %s", path)
        if not self.lms:
            write_csv(path, rows)
        elif len(rows) == 1:
            write_lms_csv(path, *rows.values())
        else:
            raise GradingError("choose one assignment for the import: --assignment=\"['NAME']\"")
