"""The engine's interface on a Dask cluster: ``dask scheduler``, ``dask worker``, and this."""

import contextlib
import logging
import pickle
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from distributed import Client, Future
from distributed.security import Security

from grading.cluster import worker as remote
from grading.cluster.batch import Batch, Case
from grading.course import GradingError
from grading.engine.bundle import Bundle
from grading.engine.environment import differences, environment, environment_digest
from grading.engine.pool import Submission
from grading.engine.record import Record, record_key

ENGINE = "grading.engine.pool:Engine"
REFRESH_SECONDS = 1.0

log = logging.getLogger(__name__)


class ClusterEngine:
    """Grades submissions on the workers of a Dask cluster. Use it in a ``with`` statement.

    Args:
        address: of the scheduler, ``tcp://HOST:8786`` or ``tls://HOST:8786``.
        sandbox: as for :class:`~grading.engine.pool.Engine`, on the workers.
        environment: part of each record's key; the default names this installation.
        security: certificates; the default is what Dask's configuration says.
        engine: which engine the workers start, ``module:name``.
        fresh: grade anew what workers have kept of an earlier run.
        wait: how many seconds to wait for a worker, at the start and later.
        say: told what an instructor may want to know, a sentence each.

    Raises:
        GradingError: on entering, if there is no scheduler, or no worker with the same software.
    """

    def __init__(
        self,
        address: str,
        *,
        sandbox: bool = True,
        environment: str = "",
        security: Security | None = None,
        engine: str = ENGINE,
        fresh: bool = False,
        wait: float = 60.0,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        self.address, self.security, self.engine = address, security, engine
        self.fresh, self.wait, self.say = fresh, wait, say
        self.environment = environment or environment_digest()
        self.options = {"sandbox": sandbox, "environment": self.environment}
        self.resource = remote.resource(environment_digest())
        self.layers: list[str] = []
        self._room, self._looked = 0, 0.0

    def __enter__(self) -> "ClusterEngine":
        try:
            self.client = Client(
                self.address, security=self.security, timeout=self.wait, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            raise GradingError(
                f"there is no scheduler at {self.address} ({error}); "
                "start one with `dask scheduler`, see docs/cluster/README.md"
            ) from error
        try:
            self._check()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close(timeout=5)

    def key(self, bundle: Bundle, submission: Submission) -> str:
        """Where the record of this submission is kept."""
        return record_key(submission.digest, bundle.digest, self.environment)

    def grade(
        self, bundle: Bundle, submissions: Iterable[Submission]
    ) -> Iterator[tuple[str, Record]]:
        """Grade submissions; yields (student, record), each as soon as it is done.

        Ask for the next pair only when the last is stored: then nothing that is finished can be
        lost, whatever is killed when. What workers had finished for a coordinator that died comes
        from them.

        Raises:
            GradingError: no worker was connected for too long.
        """
        digest = bundle.digest
        data = zlib.compress(pickle.dumps(bundle), 1)
        at = {} if self.fresh else self._kept(digest)

        def offer() -> None:
            self.client.set_metadata([remote.METADATA, digest], data)

        def send(case: Case) -> Future:
            return self._send(case, digest)

        def fetch(key: str) -> str | None:
            return self._fetch(at[key], digest, key) if key in at else None

        offer()
        batch = Batch(
            bundle.assignment, send, self._capacity, fetch, offer, wait=self.wait, say=self.say
        )
        yield from batch.run(Case(one, self.key(bundle, one), [one.student]) for one in submissions)
        self._forget(digest)

    def graders(self) -> dict[str, int]:
        """Address and threads of the workers that may grade."""
        workers = self.client.scheduler_info()["workers"]
        return {
            address: one["nthreads"]
            for address, one in workers.items()
            if one["resources"].get(self.resource)
        }

    # ------------------------------------------------------------ the cluster

    def _check(self) -> None:
        """Compare environments before anything of the course is sent."""
        try:
            there = self.client.run_on_scheduler(environment)
        except Exception as error:
            raise GradingError(
                f"the scheduler at {self.address} cannot tell its environment "
                f"({type(error).__name__}: {error}); install the same software there"
            ) from error
        if found := differences(environment(), there):
            raise GradingError(
                f"the scheduler at {self.address} has another environment: {'; '.join(found)}"
            )
        deadline, told = time.monotonic() + self.wait, set()
        while True:
            graders, refused = self.graders(), self._refused()
            for address, why in refused.items():
                if (address, why) not in told:
                    told.add((address, why))
                    self.say(f"{address} is refused: {why}")
            if graders:
                self.layers = [f"{len(graders)} workers at {self.address}"]
                return
            if time.monotonic() > deadline:
                found = "; ".join(f"{address}: {why}" for address, why in refused.items())
                raise GradingError(
                    f"no worker of {self.address} can grade ({found or 'none is connected'}); "
                    "start one with `dask worker ADDRESS --preload grading.cluster.worker`"
                )
            time.sleep(0.5)

    def _refused(self) -> dict[str, str]:
        workers = self.client.scheduler_info()["workers"]
        strange = [one for one in workers if one not in self.graders()]
        answers = self._ask(environment, workers=strange) if strange else {}
        return {address: why_refused(answer) for address, answer in answers.items()}

    def _ask(self, function: Callable, *arguments: str, workers: Iterable[str]) -> dict[str, Any]:
        """Call a function on workers; exceptions are among the answers."""
        return self.client.run(function, *arguments, workers=list(workers), on_error="return")

    def _capacity(self) -> int:
        """Every thread has a task, and a few more wait, so that no thread waits for us."""
        if time.monotonic() - self._looked > REFRESH_SECONDS:
            self._looked = time.monotonic()
            running = self.client.status == "running"
            threads = sum(self.graders().values()) if running else 0
            self._room = threads + max(2, threads // 4) if threads else 0
        return self._room

    def _send(self, case: Case, bundle: str) -> Future:
        one = case.submission
        order = remote.Order(
            one.student,
            case.key,
            one.digest,
            remote.pack_files(one.files),
            bundle,
            self.engine,
            self.options,
            self.fresh,
        )
        return self.client.submit(
            remote.grade,
            order,
            key=f"grade-{case.key}-{case.sent}",
            resources={self.resource: 1},
            pure=False,
        )

    # ------------------------------------------------------------ finished results on the workers

    def _kept(self, bundle: str) -> dict[str, str]:
        answers = self._ask(remote.kept, bundle, workers=self.graders())
        return {
            key: address
            for address, keys in answers.items()
            if isinstance(keys, list)
            for key in keys
        }

    def _fetch(self, address: str, bundle: str, key: str) -> str | None:
        with contextlib.suppress(OSError, TimeoutError):
            answer = self._ask(remote.fetch, bundle, key, workers=[address]).get(address)
            return answer if isinstance(answer, str) else None

    def _forget(self, bundle: str) -> None:
        with contextlib.suppress(Exception):  # a courtesy: the batch is done
            self.client.set_metadata([remote.METADATA, bundle], None)
            self._ask(remote.forget, bundle, workers=self.graders())


def why_refused(answer: Mapping[str, str] | BaseException) -> str:
    """In words, why a worker that answered so to :func:`environment` may not grade."""
    if isinstance(answer, BaseException):
        return f"it cannot tell its environment ({type(answer).__name__}: {answer})"
    found = differences(environment(), answer)
    return "; ".join(found) or (
        "it was not started with `--preload grading.cluster.worker`, or its engine does not start "
        "(its log says why)"
    )
