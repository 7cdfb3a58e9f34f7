"""Options of the command line for grading on a cluster."""

import argparse
from typing import TYPE_CHECKING

from grading.course import GradingError

if TYPE_CHECKING:
    from grading.cluster.engine import ClusterEngine


def add_scheduler_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--scheduler`` and what belongs to it."""
    group = parser.add_argument_group(
        "on a cluster", "see docs/cluster/README.md; without --scheduler, this machine grades"
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="grade on the Dask cluster of this scheduler, such as tcp://head:8786",
    )
    group.add_argument("--tls-ca-file", metavar="PEM", help="certificate authority, for tls://")
    group.add_argument("--tls-cert", metavar="PEM", help="this machine's certificate")
    group.add_argument("--tls-key", metavar="PEM", help="the certificate's key")
    group.add_argument(
        "--wait-for-workers",
        type=float,
        default=60.0,
        metavar="S",
        help="give up after so many seconds without any worker (%(default)g)",
    )


def engine_from(
    options: argparse.Namespace, *, sandbox: bool = True, environment: str = "", **others
) -> "ClusterEngine | None":
    """The cluster that the options name, or None if this machine is to grade.

    Args:
        options: of a parser that :func:`add_scheduler_option` was called with.
        sandbox: see :class:`~grading.cluster.engine.ClusterEngine`, also for the others.
        environment: part of each record's key.
        others: further arguments of ClusterEngine.

    Raises:
        GradingError: distributed is not installed, or the options do not go together.
    """
    if not options.scheduler:
        return None
    try:
        from distributed.security import Security

        from grading.cluster.engine import ClusterEngine
    except ImportError as error:
        raise GradingError(
            f"--scheduler needs the package distributed ({error}); pip install distributed"
        ) from error
    files = {
        "tls_ca_file": options.tls_ca_file,
        "tls_client_cert": options.tls_cert,
        "tls_client_key": options.tls_key,
    }
    given = {name: path for name, path in files.items() if path}
    if given and not options.scheduler.startswith("tls://"):
        raise GradingError("certificates are for an address that starts with tls://")
    security = Security(**given, require_encryption=True) if given else None
    return ClusterEngine(
        options.scheduler,
        sandbox=sandbox,
        environment=environment,
        security=security,
        wait=options.wait_for_workers,
        **others,
    )
