"""Where the field around a candidate comes from: target pixel files or cut-outs, neighbours, models of a star's image.

Each file is asked for once: what lies here whole is taken as it is, after a kill too. What the archive does not have is
told in the list; what it could not give just now is asked for later, all of it.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from candidates.files import write_durably
from hunter.archives import fits_file, formats, pixel_files
from hunter.archives.mast.names import FileName, read_uri
from hunter.archives.mast.portal import Portal
from hunter.archives.readers import pixels as readers
from hunter.archives.settings import models_folder
from hunter.field import FieldList, Listed, model_names, model_of, rows_of
from hunter.network.door import FILES, Door
from hunter.network.downloads import Wanted, fetch
from hunter.network.errors import ArchiveUnavailable, Busy, Corrupt, HostDown, Missing, shown
from hunter.network.verifying import Expected, Unsound, verify
from hunter.settings import Settings
from hunter.supply import file_store, split, wanted
from pipeline.errors import UnusableData
from pipeline.types import Star, TargetPixels
from state.products import Products
from state.rows import FetchedProduct, ListedProduct
from state.survivors import CUT_OUT, NEIGHBOURS, PIXELS, Survivor

MODELS = "missions/tess/models/prf_fitsfiles"  # below the host of the bulk scripts
MODEL_NAME = re.compile(r"tess\d{13}-prf-[1-4]-[1-4]-(row\d{4}-col\d{4}\.fits)", re.ASCII)
CUT_OUT_PLACES = 6  # decimals of a degree: 4 milliarcsec
KEPT_OF_A_STAR = ("ID", "ra", "dec", "pmRA", "pmDEC", "Tmag", "contratio", "disposition")
PIXEL_BYTES = 50e6  # of a target pixel file at two minutes, about: that much room is made for each
TRIES = 3  # answers that there are no pixels, over the waits between them, before there are none


class NotYet(ArchiveUnavailable):
    """Something of a field is not to be had, and may be later."""


@dataclass(frozen=True, slots=True)
class FieldBrought:
    """The files of one field, all here."""

    survivor: Survivor
    made: FieldList
    listed: FetchedProduct  # the list itself
    files: tuple[tuple[ListedProduct, FetchedProduct], ...]


class FieldSupplier:
    """Brings the field of one candidate here; threads ask it, and it touches the record in no way.

    Parameters
    ----------
    settings : Settings
    door : Door
    portal : Portal
    """

    def __init__(self, settings: Settings, door: Door, portal: Portal) -> None:
        self.settings, self.door, self.portal = settings, door, portal
        self.store = file_store(settings)
        self.models = models_folder(settings.home)

    def pause(self, products: Products) -> str:
        """Why nothing may be fetched just now; empty if all is well. Makes room where it can."""
        held = self.store.pause() or self.store.make_room(products, int(PIXEL_BYTES * self.settings.field.sectors))
        return "" if held is None else held.reason

    def bring(self, survivor: Survivor) -> FieldBrought:
        """Have every file of a field here, checked, and the list of them.

        Raises
        ------
        ArchiveUnavailable, OSError
            If it cannot be had, or stored, just now; what came stays.
        """
        star = self._star(survivor)
        missing: list[str] = []
        files: list[tuple[ListedProduct, FetchedProduct]] = []
        images: list[TargetPixels] = []
        for name in self._wanted_pixels(survivor):
            got = self._pixels(survivor, name, star)
            if isinstance(got, str):
                missing.append(got)
                continue
            try:
                images.append(pixel_files.read(self.store.at(got[1].path), got[1].uri, got[1].sha256))
            except UnusableData as error:  # as the archive has it
                missing.append(f"sector {name.sector}: {error}")
            else:
                files.append(got)
        if not images and missing and survivor.tries < TRIES:
            raise NotYet(f"{survivor.name}: {'; '.join(missing)}")
        stars = self._neighbours(survivor, star)
        if isinstance(stars, str):
            missing.append(stars)
        else:
            files.append(stars)
        models = [name for item in images for name in model_names(item)]
        models = [name for name in dict.fromkeys(models) if self._model(name)]
        made = FieldList(
            survivor.name,
            tuple(
                Listed(file.uri, file.sha256, listed.sector)
                for listed, file in files
                if listed.product in (PIXELS, CUT_OUT)
            ),
            None if isinstance(stars, str) else Listed(stars[1].uri, stars[1].sha256),
            tuple(models),
            tuple(missing),
        )
        return FieldBrought(survivor, made, self._write(survivor.uri, made.to_bytes()), tuple(files))

    # ---- whose field

    def _star(self, survivor: Survivor) -> Star:
        """The star as the header of one of its light curves tells it, else as the catalogue did."""
        for source in survivor.sources:
            try:
                star = formats.identify(self.store.place(*split(source))).star
            except UnusableData:
                continue
            if star.ra is not None and star.dec is not None:
                return star
        return Star(**survivor.star)

    def _wanted_pixels(self, survivor: Survivor) -> list[FileName]:
        """One light curve of each of the newest sectors, those that were observed by themselves first."""
        names = [name for source in survivor.sources if (name := read_uri(split(source)[0])) is not None]
        by_sector: dict[int, FileName] = {}
        for name in sorted(names, key=lambda name: (name.product != "SPOC-120", name.product != "SPOC-20")):
            by_sector.setdefault(name.sector, name)
        newest = sorted(by_sector, reverse=True)[: self.settings.field.sectors]
        return [by_sector[sector] for sector in sorted(newest)]

    # ---- pixels

    def _pixels(self, survivor: Survivor, name: FileName, star: Star) -> tuple[ListedProduct, FetchedProduct] | str:
        """The target pixel file of a light curve, else a cut-out; or why there is neither."""
        # 20-s images have 286 MB, and the same target has them at two minutes
        uri = name.pixels.replace("-a_fast-tp.fits", "-s_tp.fits")
        reason = "there are no target pixel files of light curves from full-frame images"
        if uri:
            asked = replace(wanted(self.settings, uri), star=name.key, sector=name.sector, cadence_seconds=120.0)
            try:
                return self._fetched(survivor, asked, name.sector)
            except (Missing, Corrupt) as error:
                reason = str(error)
        if star.ra is None or star.dec is None:
            return f"sector {name.sector}: {reason}; and nothing tells where to cut the images"
        try:
            return self._cut_out(survivor, name.sector, star.ra, star.dec)
        except Missing as error:
            return f"sector {name.sector}: {reason}; {error}"

    def _fetched(self, survivor: Survivor, asked: Wanted, sector: int) -> tuple[ListedProduct, FetchedProduct]:
        found = fetch(self.door, asked, self.store.place(asked.uri))
        listed = ListedProduct(asked.uri, survivor.kind, survivor.key, sector, PIXELS, "", found.size)
        return listed, FetchedProduct(
            asked.uri,
            self.store.relative(found.path),
            found.size,
            found.sha256,
            found.etag,
            found.processing,
            found.data_release,
            found.created,
            found.retrieved_at,
        )

    def _cut_out(self, survivor: Survivor, sector: int, ra: float, dec: float) -> tuple[ListedProduct, FetchedProduct]:
        """Images around a place, cut by TESScut out of full frames; raises Missing where it has none of this sector."""
        side = self.settings.field.cut_out_pixels
        asked = {
            "ra": f"{ra:.{CUT_OUT_PLACES}f}",
            "dec": f"{dec:.{CUT_OUT_PLACES}f}",
            "x": side,
            "y": side,
            "units": "px",
            "sector": sector,
        }
        uri = f"tesscut:{survivor.name}?{urlencode(asked)}"
        listed = ListedProduct(uri, survivor.kind, survivor.key, sector, CUT_OUT)
        at_hand = self._at_hand(uri, lambda raw: _sound_cut_out(raw, sector))
        if at_hand is not None:
            return listed, at_hand
        url = f"{self.settings.archive.mast_url.rstrip('/')}/tesscut/api/v0.1/astrocut"
        body = self.door.ask(url, params=asked).content
        return listed, self._write(uri, _unzipped(body, sector, shown(url)))

    # ---- stars

    def _neighbours(self, survivor: Survivor, star: Star) -> tuple[ListedProduct, FetchedProduct] | str:
        """The stars around, as the TESS Input Catalog has them; or why they cannot be asked for."""
        if star.ra is None or star.dec is None:
            return "neighbours: nothing tells where the star is"
        radius = self.settings.field.radius_arcsec
        uri = f"tic-cone:{survivor.name}?{urlencode({'ra': star.ra, 'dec': star.dec, 'radius': radius})}"
        listed = ListedProduct(uri, survivor.kind, survivor.key, None, NEIGHBOURS)
        at_hand = self._at_hand(uri, rows_of)
        if at_hand is not None:
            return listed, at_hand
        with self.door.asking():
            rows = self.portal.neighbours(star.ra, star.dec, radius)
        kept = [{name: row.get(name) for name in KEPT_OF_A_STAR} for row in rows]
        return listed, self._write(uri, json.dumps(kept, indent=0).encode())

    # ---- models

    def _model(self, name: str) -> bool:
        """Whether a model of a star's image is here; asked for where it is not. Without it an analytic one serves."""
        place = self.models / name
        try:
            model_of(place.read_bytes())
            return True
        except (OSError, UnusableData):
            pass
        folder, _, ending = name.rpartition("/")
        url = f"{self.settings.archive.bulk_url.rstrip('/')}/{MODELS}/{folder}/"
        try:
            page = self.door.ask(url, kind=FILES).text
            full = next((found.group(0) for found in MODEL_NAME.finditer(page) if found.group(1) == ending), None)
            if full is None:
                return False
            fetch(self.door, Wanted(f"prf:{name}", (url + full,)), place)
            model_of(place.read_bytes())
        except (Missing, Corrupt, UnusableData):
            return False
        except (HostDown, Busy) as error:  # of another host than the light curves': they need not wait for it
            raise NotYet(str(error)) from None
        return True

    # ---- the store

    def _at_hand(self, uri: str, check: Callable[[bytes], Any]) -> FetchedProduct | None:
        """A file that lies here whole already, though nothing may have been said of it yet."""
        place = self.store.place(uri)
        try:
            raw = place.read_bytes()
            check(raw)
        except FileNotFoundError:
            return None
        except (UnusableData, ArchiveUnavailable):  # unsound: written anew
            return None
        return self._described(uri, place, raw)

    def _write(self, uri: str, content: bytes) -> FetchedProduct:
        place = self.store.place(uri)
        write_durably(place, content)
        return self._described(uri, place, content)

    def _described(self, uri: str, place: Path, raw: bytes) -> FetchedProduct:
        sha256 = hashlib.sha256(raw).hexdigest()
        return FetchedProduct(uri, self.store.relative(place), len(raw), sha256, retrieved_at=self.door.now())


def _unzipped(body: bytes, sector: int, where: str) -> bytes:
    """The one cut-out in an answer of TESScut.

    Raises
    ------
    Missing
        If it holds none: the place was not observed in this sector.
    ArchiveUnavailable
        If it cannot be trusted.
    """
    if body.lstrip().startswith(b"{"):  # words in place of images
        raise Missing(f"{where} has no cut-out of sector {sector}: {body[:200].decode('utf-8', 'replace')}")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = [item for item in archive.infolist() if item.filename.endswith(".fits")]
            if not names:
                raise Missing(f"{where} has no cut-out of sector {sector}")
            if len(names) > 1 or names[0].file_size > fits_file.MAX_BYTES:
                raise ArchiveUnavailable(f"unknown: {where} sent {len(names)} files, one was asked for")
            raw = archive.read(names[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ArchiveUnavailable(f"unknown: {where} sent no archive of cut-outs ({type(error).__name__})") from None
    _sound_cut_out(raw, sector)
    return raw


def _sound_cut_out(raw: bytes, sector: int) -> None:
    """Raise ArchiveUnavailable unless these bytes are a cut-out of this sector."""
    try:
        verify(raw, Expected(sector=sector, binding=False))
        units = fits_file.walk(io.BytesIO(raw), 2)
        if not readers.recognise(units):
            raise UnusableData("it holds no images")
    except (Unsound, UnusableData) as error:
        raise ArchiveUnavailable(f"unknown: TESScut sent something odd: {error}") from None
