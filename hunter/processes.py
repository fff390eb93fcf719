"""Jobs in processes of their own: given out as they are wanted, none begun once a stop was asked for."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from hunter.crew import NightFailed


def in_processes(
    jobs: Iterable[Any], do: Callable[[Any], Any], workers: int, stopped: Callable[[], bool]
) -> Iterator[tuple[Any, Any]]:
    """Do the jobs, here or in other processes, until all are done or none may be begun any more.

    Raises
    ------
    NightFailed
        If a worker process dies.
    """
    if workers == 1:
        for job in jobs:
            if stopped():
                return
            yield job, do(job)
        return
    waiting = iter(jobs)
    running: dict[Future[Any], Any] = {}
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_child) as pool:
        try:
            more = True
            while more or running:
                while more and len(running) < 2 * workers and not stopped():
                    fresh = next(waiting, None)
                    more = fresh is not None
                    if fresh is not None:
                        running[pool.submit(do, fresh)] = fresh
                if stopped():
                    more = False
                    running = {future: job for future, job in running.items() if not future.cancel()}
                finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise NightFailed(
                "a worker process died, perhaps for want of memory: give fewer --workers and run the same command "
                "again; what was finished is kept"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _child() -> None:
    """A worker process: the parent decides what a signal means, and takes it along when it dies."""
    import signal
    import threading

    from hunter.worker import die_with_parent

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=die_with_parent, daemon=True).start()
