"""What goes into the record and comes out of it, as frozen values. Times are seconds since 1970, UTC."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"(?P<kind>[A-Za-z]+)?[\s_-]*(?P<key>[0-9]+)(?P<rest>(?:\s.*)?)", re.ASCII | re.DOTALL)


def split_name(text: str) -> tuple[str | None, str]:
    """Read a target's name as people write it.

    "TIC 261136679", "tic261136679", "TIC-00261136679" give ``("TIC", "261136679")``; "261136679" gives
    ``(None, "261136679")``; "TIC 261136679 s0001" keeps its sector; "FILE my star" gives ``("FILE", "my star")``.
    """
    text = text.strip()
    if (found := _NAME.fullmatch(text)) is not None:
        kind = found["kind"].upper() if found["kind"] else None
        return kind, (found["key"].lstrip("0") or "0") + found["rest"]
    kind, _, key = text.partition(" ")
    return (kind.upper(), key.strip()) if key.strip() else (None, text)


@dataclass(frozen=True, slots=True)
class NewTarget:
    """A target that an archive offers."""

    kind: str  # "TIC", "KIC", "EPIC", "FILE"
    key: str  # "261136679"
    inputs: str  # digest of what would be hunted; another digest means another hunt
    sources: tuple[str, ...] = ()  # where its light curves are
    star: Mapping[str, float | None] = field(default_factory=dict)  # what a header or a catalogue knows
    priority: float = 0.0  # higher goes first
    sector: int | None = None
    remote: bool = False  # its files come from far away, through the courier


@dataclass(frozen=True, slots=True)
class EnqueueReport:
    """What became of the targets that were offered."""

    added: int = 0  # not known before
    requeued: int = 0  # known and at rest, with other inputs: queued again
    unchanged: int = 0  # known with the same inputs
    refreshed: int = 0  # still queued: took the new inputs where it stands
    running: int = 0  # in a worker's hands with the old inputs: left; offer it again later


@dataclass(frozen=True, slots=True)
class Claim:
    """A target in a worker's hands. ``token`` is the fence: it guards every later write."""

    id: int
    kind: str
    key: str
    token: int
    attempts: int  # claims since the last progress, this one included
    phase: str  # the last phase that was recorded, "" before the first
    sources: tuple[str, ...]
    inputs: str
    star: dict[str, float | None]
    suspect: bool = False  # a worker died with it in hand: hunt it alone
    deferrals: int = 0  # how often in a row the archive did not answer, for the back-off
    sector: int | None = None

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """One finished phase of one target, or of one of its signals."""

    target_id: int
    phase: str
    item: int  # 0 for a phase of the target, else the number of the signal
    digest: str  # of the phase, its version, its inputs and its settings
    path: str = ""  # of the stored result, relative to the cache
    sha256: str = ""  # of the stored result
    seconds: float = 0.0  # wall time
    device: str = ""
    at: float = 0.0  # when it was finished


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A periodic dip of a target. Days, BTJD, fractions."""

    number: int  # 1 is the strongest
    period: float
    epoch: float
    duration: float
    depth: float
    snr: float
    sde: float | None = None
    period_err: float | None = None
    epoch_err: float | None = None
    duration_err: float | None = None
    depth_err: float | None = None
    bls_power: float | None = None
    n_transits: int | None = None
    single_event_share: float | None = None
    false_alarm_probability: float | None = None
    template: str = "box"
    alias_of: int | None = None
    probability: float | None = None  # the network's, where it was asked
    findings: Sequence[Mapping[str, Any]] = ()  # what each vetting test said; stored as JSON
    detectors: Sequence[Sequence[int]] = ()  # sector, camera and CCD that saw the star; stored as JSON


@dataclass(frozen=True, slots=True)
class SharedRow:
    """What a signal has in common with those of other stars."""

    target_id: int
    number: int  # of the signal
    kind: str  # "ephemeris": the same event in several stars; "times": its dips fall when many stars dip
    period: float  # of the signal, so that it is known after a new hunt whether it is still this one
    epoch: float
    stars: int
    source: str | None  # name of the star whose dip is the deepest; None where none is said to be the source
    chance: float
    words: str  # a sentence for people


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A published candidate: its ephemeris, its score and the files a person opens."""

    ephemeris_key: str  # the same after a new hunt of the same star, so that reviews stay with it
    name: str  # TIC_261136679_p6.267890
    period: float  # days
    epoch: float  # BTJD
    duration: float  # days
    depth: float  # fraction
    snr: float
    sde: float | None = None
    probability: float | None = None
    disposition: str = ""
    json_file: str = ""
    json_sha256: str = ""
    png_file: str = ""
    png_sha256: str = ""
    pdf_file: str = ""
    pdf_sha256: str = ""
    html_file: str = ""
    html_sha256: str = ""
    published_at: float = 0.0
    flux: str = ""  # the decision of the tests of the light curve alone; empty where it is not known


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a person; the same ``dedup`` is sent once to a channel, however often it is posted."""

    dedup: str
    channel: str
    kind: str  # "candidate", "sector", "stuck", "disk", "digest", ..
    payload: Mapping[str, Any]  # stored as JSON


@dataclass(frozen=True, slots=True)
class OwedMessage:
    """A message that waits to be sent."""

    id: int
    message: Message
    created_at: float
    tries: int  # before this one


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """How far one product of one sector has come; see ``hunter/releases.py`` for what moves it."""

    sector: int
    product: str
    status: str = "unseen"  # unseen, ingesting, settled, enumerated, drift or held
    count: int | None = None  # rows the archive counts
    script_lines: int | None = None
    script_hash: str | None = None
    script_etag: str | None = None
    script_modified: str | None = None
    same_polls: int = 0  # polls in a row with this count
    same_since: float | None = None
    polled_at: float | None = None  # last answer
    looked_at: float | None = None  # last question, answered or not
    failed_polls: int = 0  # in a row
    listed: int = 0  # files
    enumerated_at: float | None = None
    described_at: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ListedProduct:
    """A file that an archive lists."""

    uri: str
    kind: str  # of the target it belongs to
    key: str
    sector: int | None
    product: str
    version: str = ""  # another one: the archive has replaced the file under the same name
    size_advised: int | None = None  # bytes, as the archive believes


@dataclass(frozen=True, slots=True)
class FetchedProduct:
    """A file that was fetched and passed every check."""

    uri: str
    path: str  # relative to the file store
    size: int
    sha256: str
    etag: str | None = None
    processing: str | None = None
    data_release: int | None = None
    created: str | None = None
    retrieved_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ListingReport:
    """What became of the files that were listed."""

    added: int = 0
    changed: int = 0  # another version than before: to be fetched again
    unchanged: int = 0
    returned: int = 0  # delisted before, and listed again
