"""Files of pixels, beside the light curves they belong to: whose they are, and the images in them, checked."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from hunter.archives import fits_file
from hunter.archives.fits_file import Unit
from hunter.archives.formats import FITS_MAGIC, contents, describe_units, open_plain, unpacked, unreadable
from hunter.archives.identity import Identity
from hunter.archives.readers import pixels
from pipeline.errors import UnusableData
from pipeline.types import Product, TargetPixels


def identify(path: Path) -> Identity | None:
    """Whose pixels a file holds, by its headers; None where it holds none, or cannot be read.

    Raises
    ------
    ArchiveUnavailable
        If the disk failed to answer.
    """
    try:
        with open_plain(path) as stream:
            plain = stream.read(len(FITS_MAGIC)) == FITS_MAGIC
            if plain:  # headers alone: the images of a sector have 48 MB
                return _identity(stream)
        return _identity(io.BytesIO(unpacked(contents(path))))
    except UnusableData:
        return None
    except OSError as error:
        raise unreadable(error, path) from error


def _identity(stream: BinaryIO) -> Identity | None:
    units = fits_file.walk(stream, 2)
    return pixels.identify(units) if pixels.recognise(units) else None


def read(path: Path, uri: str | None = None, sha256: str = "") -> TargetPixels:
    """Check a file of pixels byte by byte, and read it.

    Parameters
    ----------
    path : Path
    uri : str, optional
        What it is known by; None is the path.
    sha256 : str
        What its content is to have; empty is not compared.

    Raises
    ------
    UnusableData
        Naming the first check that failed, in one line.
    ArchiveUnavailable
        If the disk failed to answer.
    """
    stored = contents(path)
    digest = hashlib.sha256(stored).hexdigest()
    if sha256 and digest != sha256:
        raise UnusableData(f"{path.name} has changed since it was checked")
    raw = unpacked(stored)
    if not raw.startswith(FITS_MAGIC):
        raise UnusableData(fits_file.describe_bytes(raw))
    units = fits_file.walk(io.BytesIO(raw))
    fits_file.check_structure(raw, units)
    if not pixels.recognise(units):
        raise UnusableData(f"it holds no pixels of a target: {describe_units(units)}")
    fits_file.check_complete(units, pixels.EXTENSIONS, counted=True)
    _check_sums(raw, units)
    identity = pixels.identify(units)
    product = Product(
        uri=str(path) if uri is None else uri,
        sha256=digest,
        mission=identity.mission,
        author=identity.author,
        flux_column="FLUX",
        sector=identity.sector,
        camera=identity.camera,
        ccd=identity.ccd,
        cadence_seconds=identity.cadence_seconds,
        data_release=identity.data_release,
        processing=identity.processing,
        created=identity.created,
    )
    return pixels.read(raw, units, product)


def _check_sums(raw: bytes, units: Sequence[Unit]) -> None:
    """Refuse changed content. A cut-out is made when it is asked for, by a program whose sums are its own affair."""
    if pixels.is_cut_out(units):
        return
    wrong = [unit.title for unit in units if fits_file.sum_is_right(raw, unit) is False]
    if wrong:
        raise UnusableData(f"its content was changed: the checksum of {', '.join(wrong)} is wrong; fetch it again")
