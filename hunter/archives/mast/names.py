"""The names that MAST gives: files, observations, URIs, download addresses and bulk scripts.

What a name says is taken from it by one pattern for each product, whole or not at all; a name that does not fit is
nobody's file. A path on disk is never made from anything that has not passed such a pattern.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import quote

from hunter.archives.identity import LARGEST_NUMBER

_TIME = r"(?P<began>\d{13})"
_SPOC = rf"tess{_TIME}-s(?P<sector>\d{{4}})-(?P<tic>\d{{16}})-\d{{4}}"
_TESS_SPOC = r"hlsp_tess-spoc_tess_phot_(?P<tic>\d{16})-s(?P<sector>\d{4})_tess_v1"

FIRST_LIGHT = datetime(2018, 4, 18, tzinfo=UTC)  # TESS was launched on that day: no observation is older


@dataclass(frozen=True, slots=True)
class ProductLine:
    """One sort of light curve that MAST releases sector by sector."""

    name: str  # as [watch] products says it
    collection: str  # obs_collection
    provenance: str  # provenance_name
    observation: str  # obs_id; {sector} is four digits, * any run of characters
    script: str  # path of the bulk script below the script host; {n} is the bare number of the sector
    uri: str  # {file} is its name, {q1}..{q4} the TIC in fours
    obs_pattern: re.Pattern[str]
    file_pattern: re.Pattern[str]
    file_ending: str  # what the name of the file has after the obs_id


def _line(
    name: str, collection: str, provenance: str, observation: str, script: str, uri: str, obs: str, ending: str
) -> ProductLine:
    obs_pattern = re.compile(obs, re.ASCII)
    file_pattern = re.compile(obs + re.escape(ending), re.ASCII)
    return ProductLine(name, collection, provenance, observation, script, uri, obs_pattern, file_pattern, ending)


_SCRIPTS = "missions/tess/download_scripts/sector/tesscurl_sector_{n}_"
_MISSION_URI = "mast:TESS/product/{file}"

# 20-s scripts are named by analogy with those of the pixels; TESS-SPOC's address is that of public tools
PRODUCTS = {
    line.name: line
    for line in (
        _line("SPOC-120", "TESS", "SPOC", "tess*-s{sector}-*-s", _SCRIPTS + "lc.sh", _MISSION_URI,
              _SPOC + "-s", "_lc.fits"),
        _line("SPOC-20", "TESS", "SPOC", "tess*-s{sector}-*-a_fast", _SCRIPTS + "fast-lc.sh", _MISSION_URI,
              _SPOC + "-a_fast", "-lc.fits"),
        _line("TESS-SPOC", "HLSP", "TESS-SPOC", "hlsp_tess-spoc_tess_phot_*-s{sector}_tess_v1*",
              "hlsps/tess-spoc/download_scripts/hlsp_tess-spoc_tess_phot_s{sector}_tess_v1_dl-lc.sh",
              "mast:HLSP/tess-spoc/s{sector}/target/{q1}/{q2}/{q3}/{q4}/{file}", _TESS_SPOC, "_lc.fits"),
    )
}  # fmt: skip
MAX_SECTOR = 9999  # four digits


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a light curve says."""

    text: str
    product: str
    sector: int
    tic: int  # up to 11 digits, more than 32 bits hold

    @property
    def obs_id(self) -> str:
        return self.text.removesuffix(PRODUCTS[self.product].file_ending)

    @property
    def key(self) -> str:
        """The target's key in the record."""
        return str(self.tic)

    @property
    def uri(self) -> str:
        return uri_of(PRODUCTS[self.product], self.sector, self.tic, self.text)

    @property
    def pixels(self) -> str:
        """The URI of the pixels that this light curve was made of; "" where MAST keeps none by this name."""
        line = PRODUCTS[self.product]
        if line.collection != "TESS":
            return ""
        return uri_of(line, self.sector, self.tic, self.obs_id + line.file_ending.replace("lc", "tp"))


def product_line(name: str) -> ProductLine:
    """The product that a setting names.

    Raises
    ------
    ValueError
        If there is none by that name.
    """
    if name not in PRODUCTS:
        raise ValueError(f"no product is called {name!r}: choose from {', '.join(PRODUCTS)}")
    return PRODUCTS[name]


def read_file_name(text: str, products: Sequence[ProductLine] = tuple(PRODUCTS.values())) -> FileName | None:
    """What a file name says, or None where it is no light curve of these products."""
    for line in products:
        found = line.file_pattern.fullmatch(text)
        if found is not None:
            return _name(line, text, found)
    return None


def read_obs_id(text: str, line: ProductLine) -> FileName | None:
    """The light curve of an observation, or None: data validation over many sectors, images and the like."""
    found = line.obs_pattern.fullmatch(text)
    return None if found is None else _name(line, text + line.file_ending, found)


def _name(line: ProductLine, text: str, found: re.Match[str]) -> FileName | None:
    sector, tic = int(found["sector"]), int(found["tic"])
    if not (1 <= sector <= MAX_SECTOR and 1 <= tic <= LARGEST_NUMBER):
        return None
    if line.collection == "TESS" and timestamp(found["began"]) is None:
        return None
    return FileName(text, line.name, sector, tic)


@cache
def timestamp(text: str) -> datetime | None:
    """The moment that thirteen digits yyyydddhhmmss name, UTC; None where there is no such moment in the mission."""
    if not re.fullmatch(r"\d{13}", text, re.ASCII):
        return None
    year, day = int(text[:4]), int(text[4:7])
    hour, minute, second = int(text[7:9]), int(text[9:11]), int(text[11:])
    if not (2018 <= year <= 2100 and 1 <= day <= 366 and hour < 24 and minute < 60 and second < 60):
        return None
    moment = datetime(year, 1, 1, hour, minute, second, tzinfo=UTC) + timedelta(days=day - 1)
    return moment if moment.year == year and moment >= FIRST_LIGHT else None


def fours(tic: int) -> tuple[str, str, str, str]:
    """A TIC as MAST's folders have it: sixteen digits in fours."""
    digits = f"{tic:016d}"
    return digits[:4], digits[4:8], digits[8:12], digits[12:]


def uri_of(line: ProductLine, sector: int, tic: int, file: str) -> str:
    if "{q1}" not in line.uri:
        return line.uri.replace("{file}", file)
    q1, q2, q3, q4 = fours(tic)
    return line.uri.format(sector=f"{sector:04d}", q1=q1, q2=q2, q3=q3, q4=q4, file=file)


def read_uri(uri: str) -> FileName | None:
    """What a ``mast:`` URI of a light curve says; None where it is another thing, or not as MAST writes it."""
    name = read_file_name(uri.rpartition("/")[2])
    return name if name is not None and name.uri == uri else None


def download_url(mast_url: str, uri: str) -> str:
    """Where the file of a ``mast:`` URI is had: at the configured server, whatever host a script has named."""
    return f"{mast_url.rstrip('/')}/api/v0.1/Download/file?uri={quote(uri, safe=':/')}"


def script_url(bulk_url: str, line: ProductLine, sector: int) -> str:
    """Where the bulk script of a sector is had: one line for each of its files."""
    return f"{bulk_url.rstrip('/')}/{line.script.format(n=sector, sector=f'{sector:04d}')}"


def observation_pattern(line: ProductLine, sector: int) -> str:
    """The obs_id of all light curves of a sector, with ``*``; leaves out data validation of many sectors."""
    return line.observation.format(sector=f"{sector:04d}")
