"""Grading on many machines: the engine's interface on a Dask cluster."""
