"""Right answers and nothing else."""
