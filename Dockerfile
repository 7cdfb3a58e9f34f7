# An image that grades, for machines that have no sandbox of their own: macOS, Windows, locked-down
# Linux. compose.yaml says how to run it.
#
#   docker compose build
#   docker compose run --rm grader python -m grading.sandbox     # which layers there are
#   docker compose run --rm grader python -m grading grade 04-attention
#
# The image holds the project and its tested versions. Submissions, gradebook and model answers stay
# outside, in folders that compose.yaml mounts.

FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /project

# Packages first: a change of the project does not install them again. CPU wheels of torch come from
# PyTorch's own index; the others are several times as large.
COPY constraints.txt pyproject.toml README.md ./
COPY encoderlib encoderlib
COPY grading grading
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --constraint constraints.txt --editable '.[book,grading]'

COPY nbgrader_config.py Makefile ./
COPY tools tools
COPY exercises exercises
COPY book book

# The grader itself is an ordinary user. Its number is that of the first user of most Linux machines,
# so that it can write to the mounted folders; build with --build-arg USER_ID=$(id -u) otherwise.
ARG USER_ID=1000
RUN useradd --create-home --uid "$USER_ID" grader \
    && mkdir -p course solutions build \
    && chown grader course build
USER grader

# One thread a process: grading runs one process a core.
ENV OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1

CMD ["python", "-m", "grading", "--help"]
