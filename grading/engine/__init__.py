"""Executing submissions: the student's code in a sandbox, the instructor's tests outside it."""
