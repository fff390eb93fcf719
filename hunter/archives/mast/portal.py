"""Questions to MAST's portal, asked by astroquery, and answers that are believed only if they are whole.

astroquery builds the questions, keeps the session and pages through the answers; what comes back is read here, because
an answer that is short, empty by mistake, or about something else must never look like "there is nothing". Whatever is
odd is ArchiveUnavailable, and its message begins with "unknown".
"""

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from candidates.files import write_durably
from hunter.archives.identity import LARGEST_NUMBER, number, positive, whole
from hunter.archives.mast.names import ProductLine, observation_pattern
from hunter.network.errors import Missing
from pipeline.errors import ArchiveUnavailable
from pipeline.types import Star

Row = Mapping[str, Any]

CAOM = "Mast.Caom.Filtered"
CAOM_COLUMNS = "Mast.Caom.Cone"  # the name under which the columns of CAOM are described
PRODUCTS = "Mast.Caom.Products"
TIC = "Mast.Catalogs.Filtered.Tic.Rows"
TIC_CONE = "Mast.Catalogs.TIC.Cone"
PAGE = 50_000  # rows; more are sent in several pages
MOST_ROWS = 500_000  # above, the portal breaks the connection
OBSERVATIONS_AT_ONCE = 500
STARS_AT_ONCE = 2_000
COLUMNS_SECONDS = 30 * 86_400.0  # how long a description of columns is good
# younger than some descriptions that are still about
YOUNG_COLUMNS = {
    "sequence_number": {"text": "Sequence Number", "type": "int", "vot.datatype": "int"},
    "provenance_name": {"text": "Provenance Name", "type": "string", "vot.datatype": "char"},
}


class Portal:
    """The portal of one server.

    Parameters
    ----------
    session : requests.Session
        What goes out to the network, with its own timeouts, retries and manners.
    mast_url : str
        [archive] mast_url.
    folder : Path
        Where the description of columns is kept; safe to delete.
    now : callable
        Seconds since 1970.
    page, most_rows : int
        Rows in one answer; rows of one question.
    """

    def __init__(
        self,
        session: Any,
        mast_url: str,
        folder: Path,
        now: Callable[[], float] = time.time,
        *,
        page: int = PAGE,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._session = session
        self._mast_url = mast_url.rstrip("/")
        self._folder = folder
        self._now = now
        self._page = page
        self._most_rows = most_rows
        self._made: Any = None

    # ---- what is asked

    def count(self, line: ProductLine, sector: int) -> int:
        """How many light curves of a product the archive counts in a sector."""
        rows = self._ask(CAOM, self._of_sector(line, sector) | {"columns": "COUNT_BIG(*)"}, ("Column1",))
        found = whole(rows[0]["Column1"], 0, 10**12) if len(rows) == 1 else None
        if found is None:
            raise ArchiveUnavailable(f"unknown: the count of sector {sector} ({line.name}) was answered with {rows!r}")
        return found

    def observations(self, line: ProductLine, sector: int, count: int) -> list[Row]:
        """The observations of a product in a sector, ``count`` of them: fewer or more are unknown."""
        base = self._of_sector(line, sector)
        slices = 1 if count <= self._most_rows else 2 * math.ceil(count / self._most_rows)
        if slices == 1:
            rows = self._ask(CAOM, base, ("obsid", "obs_id", "target_name"))
        else:  # by right ascension; a row on a border is seen twice
            found: dict[Any, Row] = {}
            for part in range(slices):
                limits = [360.0 * part / slices, 360.0 * (part + 1) / slices]
                some = {**base, "filters": base["filters"] + self._filters(s_ra=limits)}
                for row in self._ask(CAOM, some, ("obsid", "obs_id", "target_name")):
                    found[row["obsid"]] = row
            rows = list(found.values())
        if len(rows) != count:
            raise ArchiveUnavailable(
                f"unknown: {count} observations of sector {sector} ({line.name}) are counted and {len(rows)} sent"
            )
        return rows

    def numbers(self, obs_ids: Sequence[str]) -> list[str]:
        """The numbers (obsid) of at most 500 observations; of those that are there."""
        wanted = set(obs_ids)
        params = {"columns": "*", "filters": self._filters(obs_id=list(obs_ids))}
        rows = self._ask(CAOM, params, ("obsid", "obs_id"))
        if not {row["obs_id"] for row in rows} <= wanted:
            raise ArchiveUnavailable("unknown: observations were sent that nobody asked for")
        return [str(row["obsid"]) for row in rows if row["obsid"] is not None]

    def products(self, obsids: Sequence[str]) -> list[Row]:
        """The products of these observations, in batches of 500; none but theirs, and some of each."""
        rows: list[Row] = []
        for start in range(0, len(obsids), OBSERVATIONS_AT_ONCE):
            some = obsids[start : start + OBSERVATIONS_AT_ONCE]
            wanted = ("obsID", "obs_id", "dataURI", "productSubGroupDescription", "prvversion", "size", "parent_obsid")
            sent = self._ask(PRODUCTS, {"obsid": ",".join(some)}, wanted)
            of = {str(row["parent_obsid"]) for row in sent} | {str(row["obsID"]) for row in sent}
            if not set(some) <= of:
                without = len(set(some) - of)
                raise ArchiveUnavailable(
                    f"unknown: {without} of {len(some)} observations were answered without products"
                )
            rows += sent
        return rows

    def stars(self, tics: Collection[int]) -> dict[int, Star]:
        """What the TESS Input Catalog knows of these stars; those it does not have are left out."""
        found: dict[int, Star] = {}
        asked = sorted(set(tics))
        for start in range(0, len(asked), STARS_AT_ONCE):
            some = asked[start : start + STARS_AT_ONCE]
            # as a list: through the description of columns, some of which call ID a number, it would become a range
            params = {"columns": "*", "filters": [{"paramName": "ID", "values": [str(tic) for tic in some]}]}
            wanted = set(some)
            for row in self._ask(
                TIC, params, ("ID", "Tmag", "Teff", "logg", "rad", "mass", "ra", "dec"), use_json=False
            ):
                tic = whole(row["ID"], 1, LARGEST_NUMBER)
                if tic is None or tic not in wanted:
                    raise ArchiveUnavailable(f"unknown: TIC {row['ID']} was sent and not asked for")
                found[tic] = star_of(row)
        return found

    def neighbours(self, ra: float, dec: float, radius: float) -> list[Row]:
        """Every star that the TESS Input Catalog has within ``radius`` arcsec of a place given in degrees.

        Rows as they are sent: those with ID, ra, dec, pmRA, pmDEC, Tmag and contratio, the target among them. An empty
        answer is unknown: there is a star wherever one asks.
        """
        wanted = ("ID", "ra", "dec", "pmRA", "pmDEC", "Tmag", "contratio")
        rows = self._ask(TIC_CONE, {"ra": ra, "dec": dec, "radius": radius / 3600}, wanted, use_json=False)
        if not rows:
            raise ArchiveUnavailable(f"unknown: {TIC_CONE} has no star within {radius:g} arcsec of {ra:.5f} {dec:+.5f}")
        return rows

    # ---- how

    def _of_sector(self, line: ProductLine, sector: int) -> dict[str, Any]:
        filters = self._filters(
            obs_collection=line.collection,
            provenance_name=line.provenance,
            dataproduct_type="timeseries",
            sequence_number=sector,
            obs_id=observation_pattern(line, sector),
        )
        return {"columns": "*", "filters": filters}

    def _filters(self, **criteria: Any) -> list[dict[str, Any]]:
        with self._trusting(CAOM):
            filters = self._api().build_filter_set(CAOM_COLUMNS, CAOM, **criteria)
            if len(filters) != len(criteria):
                raise ArchiveUnavailable("unknown: the description of the portal's columns would drop a condition")
            return filters

    def _ask(self, service: str, params: Mapping[str, Any], wanted: Sequence[str], **more: Any) -> list[Row]:
        """All rows of an answer, page by page, each with the columns wanted."""
        rows: list[Row] = []
        page, pages, total = 1, 1, None
        while page <= pages:
            with self._trusting(service):
                (response,) = self._api().service_request_async(service, dict(params), self._page, page, **more)
                document = response.json()
                part, paging = _read(document, wanted, service)
                rows += part
                if paging is None:
                    if pages > 1:
                        raise ArchiveUnavailable(f"unknown: {service} does not say which page it sent")
                    break
                told = (paging["pagesFiltered"], paging["rowsFiltered"])
                if paging["page"] != page or paging["rows"] != len(part) or total not in (None, told):
                    raise ArchiveUnavailable(
                        f"unknown: {service} sent {len(part)} rows as page {page} and says {paging}"
                    )
                total, pages = told, told[0]
                if told[1] > self._most_rows or pages > 1 + self._most_rows // self._page:
                    raise ArchiveUnavailable(
                        f"unknown: {service} has {told[1]} rows in {pages} pages, too many at once"
                    )
            page += 1
        if total is not None and total[1] != len(rows):
            raise ArchiveUnavailable(f"unknown: {service} counts {total[1]} rows and sent {len(rows)}")
        return rows

    @contextmanager
    def _trusting(self, service: str) -> Iterator[None]:
        """Turn what astroquery and the network raise into what it means: unknown."""
        import requests
        from astroquery.exceptions import InvalidQueryError, RemoteServiceError

        try:
            yield
        except Missing as error:
            raise ArchiveUnavailable(f"unknown: {service}: {error}") from error
        except (requests.RequestException, TimeoutError, RemoteServiceError, InvalidQueryError) as error:
            raise ArchiveUnavailable(f"unknown: {service}: {type(error).__name__}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveUnavailable(
                f"unknown: {service} sent something odd: {type(error).__name__}: {error}"
            ) from error

    def _api(self) -> Any:
        """astroquery's connection to the portal, pointed at the configured server."""
        if self._made is None:
            from astroquery.mast.discovery_portal import PortalAPI

            api = PortalAPI(self._session)
            api.MAST_REQUEST_URL = f"{self._mast_url}/api/v0/invoke"
            api.COLUMNS_CONFIG_URL = f"{self._mast_url}/portal/Mashup/Mashup.asmx/columnsconfig"
            # only the filters of CAOM need a description of columns, and rows are read here
            api._column_configs = {PRODUCTS: {}, TIC: {}}
            api._column_configs[CAOM] = self._columns(api)
            self._made = api
        return self._made

    def _columns(self, api: Any) -> dict[str, Any]:
        """The description of CAOM's columns: from the disk while it is young, else from the portal, else old."""
        place = self._folder / f"{CAOM_COLUMNS}.json"
        try:
            kept = json.loads(place.read_text("utf-8"))
            columns, since = kept["columns"], float(kept["since"])
        except (OSError, ValueError, KeyError, TypeError):
            columns, since = {}, -math.inf
        if not columns or not 0 <= self._now() - since < COLUMNS_SECONDS:
            try:
                api._get_col_config(CAOM, fetch_name=CAOM_COLUMNS)
                asked = api._column_configs.pop(CAOM)
                if not isinstance(asked, dict) or "obs_collection" not in asked:
                    raise ArchiveUnavailable("unknown: the portal does not describe its columns")
                columns = asked
                note = {"since": self._now(), "columns": columns}
                with suppress(OSError):  # else asked for again the next time
                    write_durably(place, json.dumps(note).encode())
            except Exception:
                api._column_configs.pop(CAOM, None)
                if not columns:
                    raise
        return YOUNG_COLUMNS | columns


def _read(document: Any, wanted: Sequence[str], service: str) -> tuple[list[Row], Mapping[str, int] | None]:
    """The rows of one reply and what it says of its pages; raises ArchiveUnavailable where it is not whole."""
    status = document.get("status")
    if status != "COMPLETE":
        raise ArchiveUnavailable(f"unknown: {service} answers {status}: {str(document.get('msg', ''))[:200]}")
    rows, fields = document["data"], {field["name"] for field in document["fields"]}
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ArchiveUnavailable(f"unknown: {service} sent no rows")
    if missing := set(wanted) - fields:
        raise ArchiveUnavailable(f"unknown: {service} sent no column {', '.join(sorted(missing))}")
    for row in rows:
        for name in wanted:
            row.setdefault(name, None)  # a value that is missing is unknown
    paging = document.get("paging")
    return rows, None if paging is None else {name: int(paging[name]) for name in _PAGING}


_PAGING = ("page", "pagesFiltered", "rows", "rowsFiltered")


def star_of(row: Row) -> Star:
    """A row of the TESS Input Catalog as a star; what is missing, NaN or no such number is None."""
    ra, dec = number(row["ra"]), number(row["dec"])
    if ra is None or dec is None or not (0 <= ra <= 360 and -90 <= dec <= 90):
        ra = dec = None
    tmag, gravity = number(row["Tmag"]), number(row["logg"])
    return Star(
        tmag=None if tmag is None or not -2 < tmag < 30 else tmag,
        teff=positive(row["Teff"]),
        logg=None if gravity is None or not -2 < gravity < 10 else gravity,
        radius=positive(row["rad"]),
        mass=positive(row["mass"]),
        ra=ra,
        dec=dec,
    )
