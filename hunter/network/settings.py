"""The [network] and [files] tables."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The [network] table: how archives are asked."""

    # a web page or address of yours in the User-Agent, so that an archive can reach you; empty: none, and a warning
    contact: str = ""
    connections: Annotated[int, Ge(1), Le(4)] = 3  # at any instant, to one host and to all together
    queries_per_second: Annotated[float, Gt(0), Le(10)] = 2.0  # to portals and catalogues, all together
    connect_seconds: Annotated[float, Gt(0)] = 10.0  # to reach a host
    read_seconds: Annotated[float, Gt(0)] = 60.0  # of silence, and until all headers are here
    deadline_seconds: Annotated[float, Gt(0)] = 600.0  # for one exchange, from the request to the last byte
    rate_floor: Annotated[float, Ge(0)] = 10.0  # kB/s; a body that comes slower than this for a minute is given up
    attempts: Annotated[int, Ge(1), Le(20)] = 5  # for one request, before it is left for later
    patience_seconds: Annotated[float, Gt(0)] = 3600.0  # the longest Retry-After that is waited for on the spot
    breaker_failures: Annotated[int, Ge(1)] = 5  # failures in a row after which a host is left alone
    breaker_seconds: Annotated[float, Gt(0)] = 300.0  # for so long; then one request tries it
    slow_seconds: Annotated[float, Ge(0)] = 600.0  # one connection only, for so long after a host was overloaded

    def __post_init__(self) -> None:
        if not (self.contact.isascii() and self.contact.isprintable()) or set(self.contact) & set("()\\"):
            raise ValueError(f"contact = {self.contact!r}: plain ASCII without brackets, for it goes into a header")


@dataclass(frozen=True, slots=True)
class FilesSettings:
    """The [files] table: the store of downloaded files."""

    quota_gb: Annotated[float, Gt(0)] = 50.0  # of verified files; those longest unused make room
    ahead_files: Annotated[int, Ge(1)] = 200  # files fetched ahead of the workers
    ahead_gb: Annotated[float, Gt(0)] = 2.0  # the same in GB: whichever is reached first
    free_gb: Annotated[float, Ge(0)] = 5.0  # downloads pause before the disk has less left than this
