"""Figures for Prometheus and ``/healthz``, on 127.0.0.1 when asked for; or a text file for its node exporter.

Every figure is read from the record when it is asked for, by the light reader: no write lock, no scan of a large
table. What is asked too often costs whoever asks, never the hunt.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from hunter import __version__
from hunter.health import Pulse, examine, free_bytes
from hunter.screen import LEASE, pace
from hunter.settings import Settings
from hunter.words import breakers, of_courier, of_device, poll, waiting_share
from state.reading import Reader
from state.status import StateError

HOST = "127.0.0.1"
READ_SECONDS = 10.0  # a client that is slower to ask is hung up on

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """The [metrics] table."""

    port: Annotated[int, Ge(0), Le(65535)] = 0  # of /metrics and /healthz on 127.0.0.1; 0 is off
    file: str = (
        ""  # written each minute for the node exporter's textfile collector, such as /var/lib/node_exporter/hunter.prom
    )


class HuntCollector(Collector):
    """What Prometheus collects: one look at the record for each time it asks."""

    def __init__(
        self,
        settings: Settings,
        pulse: Pulse | None = None,
        now: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.settings, self.pulse, self.now, self.free = settings, pulse, now, free

    def describe(self) -> list[Metric]:
        return []  # registering shall not read the record

    def collect(self) -> Iterator[Metric]:
        now = self.now()
        info = InfoMetricFamily("hunter", "The hunt.")
        info.add_metric([], {"version": __version__, "home": self.settings.home.name})
        yield info
        if self.pulse is not None:
            yield _gauge("hunter_loop_silence_seconds", "Since the main loop last turned.", self.pulse.silence)
        try:
            yield _gauge("hunter_disk_free_bytes", "Free at the home.", self.free(self.settings.home))
        except OSError as error:
            log.warning("the free space cannot be told: %s", error)
        try:
            with Reader(self.settings.database) as reader:
                summary = reader.summary(now, candidates=0, events=0)
                events = reader.events_since(now - 3600)
        except StateError as error:
            log.warning("no figures: %s", error)
            yield _gauge("hunter_database_up", "Whether the record can be read.", 0)
            return
        yield _gauge("hunter_database_up", "Whether the record can be read.", 1)
        yield from figures(summary, events, now)
        if "://" not in self.settings.database:
            yield _gauge(
                "hunter_wal_bytes", "Size of the write-ahead log.", _size(Path(f"{self.settings.database}-wal"))
            )


def figures(summary: Mapping[str, Any], events: Mapping[str, int], now: float) -> Iterator[Metric]:
    """The figures of one summary of the state."""
    yield _each("hunter_targets", "Targets by status or outcome.", "outcome", summary["counts"])
    yield _each("hunter_phase_targets", "Targets that have done a phase.", "phase", summary["phases"])
    queue = {name: n for name, n in summary["queue"].items() if name != "next_due"}
    yield _each("hunter_queue", "Targets that wait or are worked at.", "which", queue)
    fast, steady, left = pace(summary, now)
    rates = {"5m": fast, "1h": steady, "24h": summary["finished"]["last_24_hours"] / 24}
    yield _each("hunter_stars_per_hour", "Targets ended in an hour.", "window", rates)
    if left is not None:
        yield _gauge("hunter_seconds_to_go", "If the recent pace lasts.", left)
    failures = {row["error_class"]: row["n"] for row in summary["failures"]}
    yield _each("hunter_failures", "Targets with an error.", "error_class", failures)
    yield _each("hunter_events_last_hour", "Lines of the journal.", "level", {"warning": 0, "error": 0, **events})
    yield _each("hunter_outbox", "Messages that wait, and those given up.", "status", summary["outbox"])
    roles: dict[str, int] = {"worker": 0, "courier": 0, "daemon": 0, "device": 0}
    for one in summary["workers"]:
        if one["stopped_at"] is None and one["age"] <= LEASE:
            roles[one["role"]] = roles.get(one["role"], 0) + 1
    yield _each("hunter_processes", "Living processes.", "role", roles)
    states: dict[str, int] = {}
    for row in summary["releases"]:
        states[row["status"]] = states.get(row["status"], 0) + 1
    yield _each("hunter_releases", "Releases on their way, and the newest listed.", "status", states)
    courier = of_courier(summary["words"])
    if courier is not None:
        yield _counter("hunter_downloaded_bytes", "By the courier, since it started.", courier.bytes)
        yield _counter("hunter_downloaded_files", "By the courier, since it started.", courier.files)
        yield _gauge("hunter_targets_fetching", "Targets whose files are on their way.", courier.fetching)
        yield _gauge("hunter_archive_resting", "1 while nothing is fetched.", float(bool(courier.resting)))
    known = {breaker.host: float(breaker.is_open(now)) for breaker in breakers(summary["words"])}
    yield _each("hunter_breaker_open", "1 while a host is left alone.", "host", known)
    if (share := waiting_share(summary["words"])) is not None:
        yield _gauge("hunter_waiting_share", "Of the workers' time, without files to work on.", share)
    device = of_device(summary["words"])
    if device is not None:
        yield _counter("hunter_device_busy_seconds", "Seconds the GPU child worked.", device.busy_seconds)
        yield _counter("hunter_device_kills", "GPU children killed at their limit.", device.kills)
    last = poll(summary["words"])
    if last.at is not None:
        yield _gauge("hunter_last_poll_age_seconds", "Since a poll was last answered.", max(0.0, now - last.at))


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=value)


def _each(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # folded into the file, and gone


def registry_of(settings: Settings, pulse: Pulse | None = None, **given: Any) -> CollectorRegistry:
    """What is collected of a hunt, and of this process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(HuntCollector(settings, pulse, **given))
    return registry


def write_text_file(path: Path, registry: CollectorRegistry) -> None:
    """Put all figures down as a text file, whole or not at all; a reader never sees half of it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from candidates.files import write_durably

    write_durably(path, generate_latest(registry))
    path.chmod(0o644)  # the node exporter is another user


class Server:
    """``/metrics`` and ``/healthz`` on 127.0.0.1, in threads of their own.

    They read and change nothing, so that they ask for no token.

    Raises
    ------
    OSError
        If the port is taken.
    """

    def __init__(
        self, settings: Settings, pulse: Pulse | None, port: int, free: Callable[[Path], int] = free_bytes
    ) -> None:
        registry = registry_of(settings, pulse, free=free)

        class Handler(BaseHTTPRequestHandler):
            timeout = READ_SECONDS
            server_version, sys_version = "hunter", ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._give(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif path == "/healthz":
                    health = examine(settings, pulse, free)
                    text = json.dumps({"status": "ok" if health.well else "failing", **asdict(health)}, indent=1)
                    self._give(200 if health.well else 503, "application/json", text.encode() + b"\n")
                else:
                    self._give(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

            do_HEAD = do_GET

            def _give(self, code: int, kind: str, body: bytes) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass  # a line for each scrape would drown the rest

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Metrics:
    """What [metrics] asks for, for the life of a daemon; a fault of it is logged, and never the hunt's."""

    def __init__(self, settings: Settings, pulse: Pulse | None = None) -> None:
        self.settings = settings
        self._registry = registry_of(settings, pulse)
        self._server: Server | None = None
        if settings.metrics.port:
            try:
                self._server = Server(settings, pulse, settings.metrics.port)
            except OSError as error:
                log.error("no figures on port %d ([metrics] port): %s", settings.metrics.port, error.strerror)

    def write(self) -> None:
        """Write the text file, where one is asked for; a timer calls this each minute."""
        if not self.settings.metrics.file:
            return
        path = Path(self.settings.metrics.file).expanduser()
        try:
            write_text_file(path, self._registry)
        except OSError as error:
            log.warning("%s ([metrics] file) cannot be written: %s", path, error.strerror)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
