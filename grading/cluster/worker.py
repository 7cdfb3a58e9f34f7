"""A Dask worker that grades: ``dask worker tcp://HOST:8786 --preload grading.cluster.worker``.

The worker announces which environment it has, as a Dask resource; a task names the environment
that it needs. So the scheduler itself sends no task to a worker that differs, nor to one that was
not started for grading, and a worker that is started again gets work at once.
"""

import contextlib
import logging
import os
import pickle
import pkgutil
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
from distributed import Worker, WorkerPlugin, get_worker
from distributed.utils import sync

from grading.cluster.batch import BundleMissing, Damaged, WorkerUnfit
from grading.course import GradingError
from grading.engine.bundle import Bundle
from grading.engine.environment import environment_digest
from grading.engine.pool import Submission
from grading.engine.record import submission_digest
from grading.results import KEY, ResultStore

PLUGIN = "grading"
METADATA = "grading"
RESULTS = "GRADING_RESULTS"
KEPT_DAYS = 30
KEPT_BUNDLES = 4

log = logging.getLogger("distributed.worker.grading")


@dataclass(frozen=True)
class Order:
    """One submission as it travels. ``files`` are packed, ``submission`` is their digest.

    A ``fresh`` one is graded even if this worker has kept its record.
    """

    student: str
    key: str
    submission: str
    files: bytes
    bundle: str
    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Names and contents as bytes."""
    return zlib.compress(msgpack.packb(dict(files), unicode_errors="surrogatepass"), 1)


def unpack_files(data: bytes) -> dict[str, bytes]:
    """What :func:`pack_files` packed."""
    return msgpack.unpackb(
        zlib.decompress(data), unicode_errors="surrogatepass", strict_map_key=True
    )


def resource(environment: str) -> str:
    """The Dask resource of the workers with this environment."""
    return f"grading-{environment[:16]}"


def results_folder() -> Path:
    """Where this host's workers keep finished results: ``$GRADING_RESULTS``, or a temporary folder.

    Raises:
        GradingError: the folder belongs to someone else.
    """
    user = os.getuid() if hasattr(os, "getuid") else "windows"
    default = Path(tempfile.gettempdir()) / f"grading-results-{user}"
    folder = Path(os.environ.get(RESULTS) or default)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != user and hasattr(os, "getuid"):
        raise GradingError(f"{folder} belongs to someone else; set {RESULTS} to another folder")
    return folder


def results_of(bundle: str) -> ResultStore:
    """The finished results of one assignment."""
    return ResultStore(results_folder() / bundle[:16])


class Desk(WorkerPlugin):
    """What a worker needs for grading: engines, assignments, finished results."""

    def setup(self, worker: Worker) -> None:
        """Called once, before the worker gets its first task."""
        self.worker = worker
        self._lock = threading.Lock()
        self._idle: dict[tuple, list[contextlib.ExitStack]] = {}
        self._bundles: dict[str, Bundle] = {}
        for old in results_folder().iterdir():
            if time.time() - old.stat().st_mtime > KEPT_DAYS * 86400:
                shutil.rmtree(old, ignore_errors=True)

    def teardown(self, worker: Worker) -> None:
        """End the engines."""
        with self._lock:
            stacks = [stack for idle in self._idle.values() for stack in idle]
            self._idle.clear()
        for stack in stacks:
            stack.close()

    def grade(self, order: Order) -> str:
        """The record of one submission as JSON, from an earlier run if there is one."""
        bundle, store = self.bundle(order.bundle), results_of(order.bundle)
        if not order.fresh and (record := store.get(order.key)) is not None:
            return record.to_json()
        files = unpack_files(order.files)
        if submission_digest(files) != order.submission:
            raise Damaged("the submission was damaged on its way")
        with self._engine(order) as engine:
            ((_, record),) = engine.grade(bundle, [Submission(order.student, files)])
        if record.key != order.key:
            raise Damaged(f"the engine made the record {record.key[:12]}, not {order.key[:12]}")
        try:
            if not record.transient:  # better luck next time
                store.put(record)
        except OSError as error:  # a full disk: the coordinator gets the record all the same
            log.warning("the result of %s is not kept here: %s", order.key[:12], error)
        return record.to_json()

    def bundle(self, digest: str) -> Bundle:
        """The assignment with this digest, fetched from the scheduler the first time."""
        with self._lock:
            if digest not in self._bundles:
                fetch = self.worker.scheduler.get_metadata
                data = sync(self.worker.loop, fetch, keys=[METADATA, digest], default=None)
                if data is None:
                    raise BundleMissing("the scheduler does not have the assignment")
                bundle = pickle.loads(zlib.decompress(data))
                if bundle.digest != digest:
                    raise Damaged("the assignment was damaged on its way")
                while len(self._bundles) >= KEPT_BUNDLES:
                    del self._bundles[next(iter(self._bundles))]
                self._bundles[digest] = bundle
            return self._bundles[digest]

    @contextlib.contextmanager
    def _engine(self, order: Order) -> Iterator[Any]:
        """An engine of one's own: kept for the next task, ended if anything went wrong."""
        kind = order.engine, *sorted(order.options.items())
        with self._lock:
            idle = self._idle.setdefault(kind, [])
            stack = idle.pop() if idle else None
        stack = stack or self._start(order)
        try:
            yield stack.engine
        except BaseException:
            with contextlib.suppress(Exception):
                stack.close()
            raise
        with self._lock:
            self._idle.setdefault(kind, []).append(stack)

    def _start(self, order: Order) -> contextlib.ExitStack:
        stack = contextlib.ExitStack()
        try:
            engine = pkgutil.resolve_name(order.engine)(workers=1, **order.options)
            stack.engine = stack.enter_context(engine)
        except Exception as error:
            log.exception("the engine does not start; this worker takes no more submissions")
            self._withdraw()
            raise WorkerUnfit(f"{self.worker.address}: {error}") from error
        return stack

    def _withdraw(self) -> None:
        """Ask for no further tasks.

        Only the scheduler is told. This worker goes on as if it had the resource, so that the tasks
        that it already has are refused too, and do not wait here for ever.
        """
        nothing = dict.fromkeys(self.worker.state.total_resources, 0)
        tell = self.worker.scheduler.set_resources
        address = self.worker.contact_address
        sync(self.worker.loop, tell, resources=nothing, worker=address)


async def dask_setup(worker: Worker) -> None:
    """What ``--preload`` calls in a worker that starts, before it registers."""
    await worker.plugin_add(Desk(), name=PLUGIN, catch_errors=False)
    name = resource(environment_digest())
    for resources in (worker.state.total_resources, worker.state.available_resources):
        resources[name] = worker.state.nthreads
    log.info("grades in environment %s", environment_digest()[:16])


def grade(order: Order) -> str:
    """The task: grade one submission on this worker."""
    return get_worker().plugins[PLUGIN].grade(order)


def kept(bundle: str) -> list[str]:
    """Keys of the finished results that this host still has."""
    files = results_of(bundle).folder.glob("*/*.json")
    return [path.stem for path in files if KEY.fullmatch(path.stem)]


def fetch(bundle: str, key: str) -> str | None:
    """A finished result as JSON."""
    record = results_of(bundle).get(key)
    return None if record is None else record.to_json()


def forget(bundle: str) -> None:
    """Delete finished results: the coordinator has them all."""
    shutil.rmtree(results_of(bundle).folder, ignore_errors=True)
