"""`uprobes-sim scan --cluster`: many files by the workers of dask.distributed.

Each file is one task, and reports come back in the order of the files, so that they are written as
one process would have written them. A worker that dies has its files scanned by another.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from uprobes_sim.choice import Options
from uprobes_sim.errors import UprobesSimError
from uprobes_sim.scan.files import Judges
from uprobes_sim.scan.paths import Entry, Failure
from uprobes_sim.scan.report import FileReport
from uprobes_sim_cli.scan.progress import Progress

LOCAL: Final = "local"

_AHEAD: Final = 256
"""Tasks that are handed out before the first report is read."""

Result = FileReport | Failure

_judges: dict[tuple[Options, ...], Judges] = {}
"""Of this worker, by the kernels that were asked for: forms are learnt once for all files."""


def _scan(entry: Entry, options: Sequence[Options], detail: bool) -> Result:
    """Scan one file, on a worker."""
    key = tuple(options)
    if key not in _judges:
        _judges[key] = Judges(options)
    return _judges[key].try_report(entry, detail=detail)


def reports(
    judges: Judges, entries: Iterable[Entry | Failure], *, detail: bool, cluster: str
) -> Iterator[tuple[Entry, Result]]:
    """Scan *entries* by the workers of *cluster*: an address, or `local`, which starts some.

    Raises:
        UprobesSimError: dask.distributed is not installed, or the cluster does not answer.
    """
    with ExitStack() as stack:
        client = _connect(cluster, stack)
        progress = Progress(stack)
        waiting = deque[tuple[Entry, Any]]()
        for each in entries:
            if isinstance(each, Failure):
                waiting.append((Entry(Path(each.path)), each))
            else:
                waiting.append((each, _submit(client, each, judges.options, detail)))
            progress.found()
            if len(waiting) >= _AHEAD:
                yield _next(waiting, progress)
        while waiting:
            yield _next(waiting, progress)


def _submit(client: Any, entry: Entry, options: Sequence[Options], detail: bool) -> Any:  # noqa: ANN401  dask has no types
    return client.submit(_scan, entry, options, detail, pure=False, retries=3)


def _next(waiting: deque[tuple[Entry, Any]], progress: Progress) -> tuple[Entry, Result]:
    entry, result = waiting.popleft()
    progress.done()
    if isinstance(result, Failure):
        return entry, result
    try:
        return entry, result.result()
    except Exception as exc:  # the worker died over it, again and again
        why = " ".join(str(exc).split()) or type(exc).__name__
        return entry, Failure(entry.label, f"{entry.label} could not be scanned: {why}")


def _connect(cluster: str, stack: ExitStack) -> Any:  # noqa: ANN401  as above
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise UprobesSimError(
            "--cluster needs dask.distributed: pip install 'uprobes-sim[cluster]'"
        ) from None
    for logger in ("distributed", "distributed.client"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # what is lost is done again
    try:
        if cluster == LOCAL:
            started = distributed.LocalCluster(
                threads_per_worker=1, dashboard_address=None, silence_logs=50
            )
            cluster = stack.enter_context(started)
        return stack.enter_context(distributed.Client(cluster, timeout="20s"))
    except (OSError, TimeoutError, ValueError) as exc:
        raise UprobesSimError(f"--cluster {cluster} does not answer: {exc}") from None
