"""The course tooling: release, prove and grade the assignments (``python -m grading --help``).

nbgrader stays the system of record: its cell metadata, converters, gradebook and feedback. This
package turns the text notebooks of ``solutions/`` into nbgrader's source notebooks, proves that
an assignment is sound before it goes out, and grades one submission at a time.
"""
