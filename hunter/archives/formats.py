"""From a path to an identity, a checked product, an observation: every format behind three functions."""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hunter.archives import fits_file
from hunter.archives.fits_file import MAX_BYTES, Unit
from hunter.archives.identity import Identity, text, whole
from hunter.archives.readers import eleanor, generic, k2sff, kepler, lightkurve_export, qlp, spoc, table, tglc
from hunter.archives.readers.common import Reader
from pipeline.errors import ArchiveUnavailable, UnusableData
from pipeline.types import Observation, Product

# asked in this order; the last one takes any table with time and flux
READERS: tuple[Reader, ...] = (spoc, kepler, qlp, tglc, eleanor, k2sff, lightkurve_export, generic)
FITS_MAGIC = b"SIMPLE  ="
GZIP_MAGIC = b"\x1f\x8b"
HEAD_BYTES = table.HEAD_BYTES  # the part of a file that tells what it is
EARLIEST, LATEST = -2600.0, 20000.0  # BTJD; Kepler began at -2047, and 2068 is far enough
CADENCE_TOLERANCE = 0.2  # fraction by which the median step may differ from the cadence the header states


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that passed: what it is, what had to be assumed, and what the bytes that passed hold."""

    product: Product
    identity: Identity
    notes: tuple[str, ...]
    observation: Observation


def unreadable(error: OSError, path: Path) -> UnusableData | ArchiveUnavailable:
    """Turn a failure of the file system into what follows from it.

    Permissions, loops and vanished files are facts about the file; anything else (EIO, a stale network mount, too
    many open files) may be gone the next time.
    """
    reasons = {
        errno.EACCES: f"it may not be read: permission denied; chmod u+r {path}",
        errno.EPERM: f"it may not be read: permission denied; chmod u+r {path}",
        errno.ELOOP: "it is a symbolic link that leads back to itself",
        errno.EISDIR: "it is a folder, not a file",
        errno.ENAMETOOLONG: "its name is too long for this system",
    }
    if error.errno in reasons:
        return UnusableData(reasons[error.errno])
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return UnusableData("it is a symbolic link to a file that does not exist")
        return UnusableData("it has been removed since the folder was listed")
    return ArchiveUnavailable(f"{path}: {error.strerror or error}")


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file; raises UnusableData for pipes, devices and folders, which could block for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnusableData("it is a folder, a pipe or a device, not a plain file")
        return open(path, "rb")
    except OSError as error:
        raise unreadable(error, path) from error


def contents(path: Path) -> bytes:
    """All bytes of a plain file of at most 512 MB, as they lie on the disk."""
    with open_plain(path) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise UnusableData(f"it has {size // 2**20} MB, too much for a light curve")
            return stream.read(size + 1)  # read() alone would grow its buffer step by step
        except OSError as error:
            raise unreadable(error, path) from error


def unpacked(raw: bytes) -> bytes:
    return fits_file.inflate(raw) if raw.startswith(GZIP_MAGIC) else raw


def reader_of(units: Sequence[Unit]) -> Reader:
    """The reader that takes these units; raises UnusableData, saying what the file is, where none does."""
    for reader in READERS:
        if reader.recognise(units):
            return reader
    raise UnusableData(describe_units(units))


def describe_units(units: Sequence[Unit]) -> str:
    """Say what a sound FITS file is that holds no light curve we know."""
    names = [unit.name.upper() for unit in units]
    primary = units[0]
    if text(primary.card("CREATOR")).lower() == "astrocut" and "PIXELS" in names:
        return "it is a TESScut cut-out: images of the sky, not a light curve"
    if "PIXELS" in names or "TARGETTABLES" in names:
        return "it is a target pixel file: it holds images, not a light curve"
    if any(name.startswith("CBV") for name in names):
        return "it holds cotrending basis vectors of a detector, not the light curve of a star"
    promised = whole(primary.card("NEXTEND"))
    if promised is not None and promised > len(units) - 1:
        return f"it is incomplete: the header promises {promised} extensions and {len(units) - 1} are there"
    tables = [unit for unit in units[1:] if unit.is_table]
    if not tables:
        telescope = text(primary.card("TELESCOP"))
        return f"it holds no table{f' (telescope {telescope})' if telescope else ''}: an image is not a light curve"
    columns = ", ".join(name for unit in tables[:2] for name in unit.columns[:8])
    return f"no table in it has columns TIME and a flux this program knows; it has {columns or 'no columns'}"


def identify(path: Path) -> Identity:
    """Read only the headers of a file and say whose light curve it is.

    Raises
    ------
    UnusableData
        If the file is no light curve, with what it is instead.
    ArchiveUnavailable
        If the disk failed to answer.
    """
    with open_plain(path) as stream:
        try:
            begin = stream.read(len(FITS_MAGIC))
            if begin == FITS_MAGIC:
                return _identify_fits(stream)
            begin += stream.read(HEAD_BYTES - len(begin))
            if begin.startswith(GZIP_MAGIC):
                begin = fits_file.inflate_head(begin, HEAD_BYTES)
            if not begin.startswith(FITS_MAGIC):
                if looks_like_fits(path):
                    raise UnusableData(fits_file.describe_bytes(begin))
                return table.identify(begin)
        except OSError as error:
            raise unreadable(error, path) from error
    units = _first_units(begin)
    reader = next((reader for reader in READERS if units and reader.recognise(units)), None)
    # what the beginning does not tell needs the whole file unpacked
    return reader.identify(units) if reader else _identify_fits(io.BytesIO(unpacked(contents(path))))


def _first_units(begin: bytes) -> tuple[Unit, ...]:
    """The first two units where their headers lie within the beginning of a file, else none."""
    try:
        return fits_file.walk(io.BytesIO(begin), 2)
    except UnusableData:
        return ()


def looks_like_fits(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".fits", ".fit", ".fts"))


def _identify_fits(stream: BinaryIO) -> Identity:
    """Two units tell most formats; the rest is walked only where they do not."""
    units = fits_file.walk(stream, 2)
    if not any(reader.recognise(units) for reader in READERS):
        units = fits_file.walk(stream)
    return reader_of(units).identify(units)


def check(path: Path, columns: Sequence[str], uri: str | None = None) -> Checked:
    """Check one file byte by byte and by content.

    Structure, names and number of units, checksums, columns, plausible times, and a cadence that agrees with the
    header; the arrays are decoded once, so that what passes can be read.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Flux columns, the preferred first; a format's own order follows for those not named.
    uri : str or None
        What the product is known by; None is the path.

    Returns
    -------
    Checked
        With the sha256 of the file as it lies on the disk.

    Raises
    ------
    UnusableData
        Naming the first check that failed.
    ArchiveUnavailable
        If the disk failed to answer.
    """
    stored = contents(path)
    digest = hashlib.sha256(stored).hexdigest()
    raw = unpacked(stored)
    if raw.startswith(FITS_MAGIC):
        identity, column, notes, units, reader = _check_fits(raw, columns)
    elif looks_like_fits(path):
        raise UnusableData(fits_file.describe_bytes(raw))
    else:
        identity, column, units, reader = table.identify(raw), "", None, None
        notes = ()
    product = Product(
        uri=str(path) if uri is None else uri,
        sha256=digest,
        mission=identity.mission,
        author=identity.author,
        flux_column=column,
        sector=identity.sector,
        camera=identity.camera,
        ccd=identity.ccd,
        cadence_seconds=identity.cadence_seconds,
        data_release=identity.data_release,
        processing=identity.processing,
        created=identity.created,
    )
    if reader is not None and units is not None:
        observation = reader.read(raw, units, product)
    else:
        observation = table.read(raw, product, columns)
        product, notes = observation.product, (*notes, observation.product.processing)
    step = median_step(observation)
    check_times(observation, step, identity)
    if product.cadence_seconds is None and step is not None:
        product = replace(product, cadence_seconds=step)
    return Checked(product, identity, tuple(note for note in notes if note), replace(observation, product=product))


def _check_fits(
    raw: bytes, columns: Sequence[str]
) -> tuple[Identity, str, tuple[str, ...], tuple[Unit, ...], Reader]:  # fmt: skip
    units = fits_file.walk(io.BytesIO(raw))
    fits_file.check_structure(raw, units)
    reader = reader_of(units)
    fits_file.check_complete(units, reader.EXTENSIONS, reader.NEXTEND_COUNTS)
    identity = reader.identify(units)
    notes = check_sums(raw, units, reader, identity)
    available = reader.flux_columns(units)
    if not available:
        raise UnusableData(f"it has none of the flux columns {', '.join(reader.ERRORS)}")
    upper = {name.upper(): name for name in available}
    column = next((upper[name.upper()] for name in columns if name.upper() in upper), available[0])
    return identity, column, notes, units, reader


def check_sums(raw: bytes, units: Sequence[Unit], reader: Reader, identity: Identity) -> tuple[str, ...]:
    """Check the checksum of every unit; gives notes where a wrong one does not condemn the file.

    SPOC and Kepler files are bound by theirs. Archives of high-level products ship stale sums, so that theirs only
    warn; TESS-SPOC counts among them until genuine files have been seen.
    """
    binding = reader.CHECKSUM_BINDS and identity.author != "TESS-SPOC"
    verdicts = {unit.title: fits_file.sum_is_right(raw, unit) for unit in units}
    wrong = [title for title, right in verdicts.items() if right is False]
    absent = [title for title, right in verdicts.items() if right is None]
    if wrong and binding:
        raise UnusableData(f"its content was changed: the checksum of {', '.join(wrong)} is wrong; fetch it again")
    if absent and binding and reader.CHECKSUM_NEEDED:
        raise UnusableData(f"it is not as {identity.author} released it: {', '.join(absent)} carries no checksum")
    return (f"the checksum of {', '.join(wrong)} is stale or wrong",) if wrong else ()


def median_step(observation: Observation) -> float | None:
    """Median distance of neighbouring times in seconds; None with fewer than two times."""
    times = np.sort(observation.time[np.isfinite(observation.time)])
    steps = np.diff(times)
    steps = np.sort(steps[steps > 0])  # nearly equal numbers: a sort takes a quarter of the time of np.median
    middle = 0.5 * (steps[(steps.size - 1) // 2] + steps[steps.size // 2]) if steps.size else None
    return None if middle is None else float(middle) * 86400.0


def check_times(observation: Observation, step: float | None, identity: Identity) -> None:
    """Refuse times that are no BTJD, and a cadence the header contradicts."""
    times = observation.time[np.isfinite(observation.time)]
    if times.size and not (times.min() > EARLIEST and times.max() < LATEST):
        raise UnusableData(f"its times run from BTJD {times.min():.6g} to {times.max():.6g}: these are no BTJD")
    stated = identity.cadence_seconds
    if step is not None and stated is not None and abs(step / stated - 1) > CADENCE_TOLERANCE:
        raise UnusableData(f"its header states a cadence of {stated:.1f} s and its times are {step:.1f} s apart")


def read(product: Product, columns: Sequence[str], path: Path | None = None) -> Observation:
    """Read a checked product.

    The sha256 is computed again (1.4 ms for 2 MB): a file that changed since it was checked is refused.
    ``path`` is where the file lies, if that is not what its URI says.

    Raises
    ------
    UnusableData
        If the file changed, vanished or may not be read.
    ArchiveUnavailable
        If the disk failed to answer.
    """
    path = Path(product.uri) if path is None else path
    stored = contents(path)
    if hashlib.sha256(stored).hexdigest() != product.sha256:
        raise UnusableData(f"{path.name} has changed since it was checked: hunt it again")
    raw = unpacked(stored)
    if not raw.startswith(FITS_MAGIC):
        return replace(table.read(raw, product, columns), product=product)
    units = fits_file.walk(io.BytesIO(raw), 2)
    reader = next((reader for reader in READERS if reader.recognise(units)), None)
    if reader is None:
        units = fits_file.walk(io.BytesIO(raw))
        reader = reader_of(units)
    return reader.read(raw, units, product)
