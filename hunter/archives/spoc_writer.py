"""Write light curves in the layout of SPOC, byte for byte the same every time.

The layout follows genuine files of data release 42: PRIMARY, LIGHTCURVE (20 columns, 100 bytes a row) and APERTURE,
every card in its order with its comment, CHECKSUM without DATASUM, and the cards SPOC adds after it. What is
simulated says so in three places: ``SIMDATA = T`` in every header, ``ORIGIN = 'SIMULATED'`` and the OBJECT.
There is no clock: the caller gives the date. The same input gives the same bytes.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.sky import SimulatedObservation
from pipeline.types import Floats, Integers

BLOCK = 2880
CARD = 80

# name, FITS format, unit, display format, comment of TTYPE, comment of TUNIT
COLUMNS = (
    ("TIME", "D", "BJD - 2457000, days", "D14.7", "data time stamps", "Barycenter corrected TESS Julian"),
    ("TIMECORR", "E", "d", "E14.7", "barycentric correction", "Days"),
    ("CADENCENO", "J", "", "I10", "unique cadence number", ""),
    ("SAP_FLUX", "E", "e-/s", "E14.7", "aperture photometry flux", "electrons per second"),
    ("SAP_FLUX_ERR", "E", "e-/s", "E14.7", "aperture phot. flux error", "electrons per second (1-sigma)"),
    ("SAP_BKG", "E", "e-/s", "E14.7", "aperture phot. background flux", "electrons per second"),
    ("SAP_BKG_ERR", "E", "e-/s", "E14.7", "ap. phot. background flux error", "electrons per second (1-sigma)"),
    ("PDCSAP_FLUX", "E", "e-/s", "E14.7", "aperture phot. PDC flux", "electrons per second"),
    ("PDCSAP_FLUX_ERR", "E", "e-/s", "E14.7", "ap. phot. PDC flux error", "electrons per second (1-sigma)"),
    ("QUALITY", "J", "", "B16.16", "aperture photometry quality flag", ""),
    ("PSF_CENTR1", "D", "pixel", "F10.5", "PSF-fitted column centroid", "pixel"),
    ("PSF_CENTR1_ERR", "E", "pixel", "E14.7", "PSF-fitted column error", "pixel (1-sigma)"),
    ("PSF_CENTR2", "D", "pixel", "F10.5", "PSF-fitted row centroid", "pixel"),
    ("PSF_CENTR2_ERR", "E", "pixel", "E14.7", "PSF-fitted row error", "pixel (1-sigma)"),
    ("MOM_CENTR1", "D", "pixel", "F10.5", "moment-derived column centroid", "pixel"),
    ("MOM_CENTR1_ERR", "E", "pixel", "E14.7", "moment-derived column error", "pixel (1-sigma)"),
    ("MOM_CENTR2", "D", "pixel", "F10.5", "moment-derived row centroid", "pixel"),
    ("MOM_CENTR2_ERR", "E", "pixel", "E14.7", "moment-derived row error", "pixel (1-sigma)"),
    ("POS_CORR1", "E", "pixels", "E14.7", "column position correction", "pixel"),
    ("POS_CORR2", "E", "pixels", "E14.7", "row position correction", "pixel"),
)
FORMATS = {"D": (">f8", "64-bit floating point"), "E": (">f4", "32-bit floating point")}
FORMATS["J"] = (">i4", "signed 32-bit integer")
ROW = np.dtype([(name, FORMATS[code][0]) for name, code, *_ in COLUMNS])

# start times in the names of genuine files and the number of the spacecraft configuration; other sectors are computed
NAMES_OF_SECTORS = {
    1: ("2018206045859", 120),
    2: ("2018234235059", 121),
    3: ("2018263035959", 123),
    6: ("2018349182459", 126),
    30: ("2020266004630", 195),
    48: ("2022027120115", 219),
}


@dataclass(frozen=True, slots=True)
class Fixed:
    """A float card with a set number of decimals."""

    value: float
    decimals: int


@dataclass(frozen=True, slots=True)
class Words:
    """A number card in the very words of SPOC."""

    text: str


Value = str | int | float | bool | Fixed | Words | None
Card = tuple[str, Value, str]


@dataclass(frozen=True, slots=True, eq=False)
class SpocLightCurve:
    """All that one SPOC file holds and a reader may ask for."""

    tic: int
    sector: int
    table: NDArray[np.void]  # (n,) of ROW, see `table`
    camera: int = 4
    ccd: int = 2
    ra: float = 0.0  # degrees, J2000
    dec: float = 0.0  # degrees
    tmag: float | None = None
    teff: float | None = None  # K
    logg: float | None = None
    radius: float | None = None  # solar
    date: str = "2020-09-13"  # of creation, as the caller gives it
    data_release: int = 42
    processing: str = "simulated-1"  # PROCVER
    cadence_seconds: float = 120.0
    tstart: float = 0.0  # BTJD, beginning of the first cadence
    tstop: float = 0.0  # BTJD, end of the last cadence
    cdpp: tuple[float, float, float] = (0.0, 0.0, 0.0)  # ppm at 0.5, 1 and 2 hours
    crowding: float = 0.995  # CROWDSAP
    aperture_share: float = 0.9  # FLFRCSAP
    simulated: bool = True


def table(count: int, **columns: Floats | Integers | float) -> NDArray[np.void]:
    """The rows of a LIGHTCURVE table from columns by their SPOC names; a float column not given is NaN, an integer 0.

    Raises
    ------
    KeyError
        If a name is none of the 20.
    """
    rows = np.empty(count, dtype=ROW)
    unknown = columns.keys() - set(ROW.names or ())
    if unknown:
        raise KeyError(f"no SPOC column is called {', '.join(sorted(unknown))}")
    for name, code, *_ in COLUMNS:
        rows[name] = columns.get(name, 0 if code == "J" else np.nan)
    return rows


def spoc_bytes(curve: SpocLightCurve) -> bytes:
    """The whole file: 28,800 + 2,880 x ceil(100 rows / 2,880) bytes."""
    aperture = _aperture(curve)
    return b"".join((
        _unit(_primary(curve), [], b""),
        _unit(_light_curve_cards(curve), _after_checksum(curve), curve.table.tobytes(), curve.date),
        _unit(_aperture_cards(curve, aperture), [], aperture.astype(">i4").tobytes(), curve.date),
    ))  # fmt: skip


def from_simulation(
    observed: SimulatedObservation, *, date: str = "2020-09-13", tic: int | None = None
) -> SpocLightCurve:
    """A simulated observation as a SPOC file would hold it."""
    star, plan = observed.target.star, observed.plan
    edge = plan.exposure / 2
    rows = table(
        len(plan),
        TIME=observed.time,
        TIMECORR=np.where(plan.observed, plan.time_correction, 0.0),
        CADENCENO=plan.cadence_number,
        SAP_FLUX=observed.sap_flux,
        SAP_FLUX_ERR=observed.sap_flux_err,
        SAP_BKG=observed.background,
        SAP_BKG_ERR=observed.background_err,
        PDCSAP_FLUX=observed.flux,
        PDCSAP_FLUX_ERR=observed.flux_err,
        QUALITY=observed.quality,
        MOM_CENTR1=observed.centroid_column,
        MOM_CENTR1_ERR=observed.centroid_err,
        MOM_CENTR2=observed.centroid_row,
        MOM_CENTR2_ERR=observed.centroid_err,
        POS_CORR1=observed.motion_column,
        POS_CORR2=observed.motion_row,
    )
    one_hour = observed.noise * np.sqrt(observed.sector.cadence_seconds / 3600) * 1e6
    times = observed.time[plan.observed]
    return SpocLightCurve(
        tic=int(observed.target.key),
        sector=observed.sector.number,
        table=rows,
        camera=observed.sector.camera,
        ccd=observed.sector.ccd,
        ra=star.ra or 0.0,
        dec=star.dec or 0.0,
        tmag=star.tmag,
        teff=star.teff,
        logg=star.logg,
        radius=star.radius,
        date=date,
        data_release=observed.data_release,
        cadence_seconds=observed.sector.cadence_seconds,
        tstart=float(times[0]) - edge if times.size else 0.0,
        tstop=float(times[-1]) + edge if times.size else 0.0,
        cdpp=(one_hour * np.sqrt(2), one_hour, one_hour / np.sqrt(2)),
        crowding=observed.crowding,
        aperture_share=observed.aperture_share,
    )


def file_name(tic: int, sector: int, cadence_seconds: float = 120.0, start: float | None = None) -> str:
    """The name MAST gives such a file.

    SPOC's for 20 and 120 s, TESS-SPOC's for anything longer. The time in the name is that of genuine
    files where it is known, else worked out from ``start`` (BTJD, by default a sector every 27.4 days).
    """
    if cadence_seconds > 120:
        return f"hlsp_tess-spoc_tess_phot_{tic:016d}-s{sector:04d}_tess_v1_lc.fits"
    stamp, configuration = NAMES_OF_SECTORS.get(sector, ("", 119 + sector))
    if start is not None or not stamp:
        begin = _calendar(1325.2936 + 27.4 * (sector - 1) if start is None else start)
        stamp = begin.strftime("%Y%j%H%M%S")
    ending = "a_fast-lc.fits" if cadence_seconds < 120 else "s_lc.fits"
    return f"tess{stamp}-s{sector:04d}-{tic:016d}-{configuration:04d}-{ending}"


def write_spoc(folder: Path, curve: SpocLightCurve) -> Path:
    """Write the file under its MAST name into a folder, made where missing; never a half-written one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(curve.tic, curve.sector, curve.cadence_seconds)
    partial = path.with_suffix(".partial")
    partial.write_bytes(spoc_bytes(curve))
    os.replace(partial, path)
    return path


def ones_complement_sum(data: bytes) -> int:
    """32-bit ones'-complement sum of big-endian words; 0xFFFFFFFF over a header-data unit whose CHECKSUM is right.

    FITS standard 4.0, section 4.4.2.7 and appendix J. Astropy takes a missing DATASUM for 0, so it calls every genuine
    SPOC file damaged: use this instead.
    """
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4")
    total = int(words.sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def checksum_text(total: int) -> str:
    """The 16 letters that make a unit sum to all ones, given its sum with 16 zeros in their place."""
    octets = (~total & 0xFFFFFFFF).to_bytes(4, "big")
    letters = np.empty((4, 4), dtype=int)
    for place, octet in enumerate(octets):
        quarter, rest = divmod(octet, 4)
        four = [quarter + 48 + rest, quarter + 48, quarter + 48, quarter + 48]
        # ASCII punctuation is forbidden: move one up and its partner down until only letters and digits stand
        while any(0x3A <= c <= 0x40 or 0x5B <= c <= 0x60 for c in four):
            for left in (0, 2):
                if any(0x3A <= c <= 0x40 or 0x5B <= c <= 0x60 for c in four[left : left + 2]):
                    four[left] += 1
                    four[left + 1] -= 1
        letters[:, place] = four
    flat = letters.ravel()
    return "".join(chr(c) for c in np.roll(flat, 1))


def card(keyword: str, value: Value, comment: str) -> bytes:
    """One 80-byte header card in the fixed format, its comment cut at the end as SPOC cuts it."""
    if value is None:
        text = " " * 20
    elif isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        escaped = value.replace("'", "''")
        text = f"'{escaped:<8}'".ljust(20)
    elif isinstance(value, Fixed):
        text = f"{value.value:>20.{value.decimals}f}"
    elif isinstance(value, Words):
        text = f"{value.text:>20}"
    elif isinstance(value, float):
        text = f"{value!r:>20}"
    else:
        text = f"{value:>20d}"
    return f"{keyword:<8}= {text} / {comment}"[:CARD].ljust(CARD).encode("ascii")


def _unit(cards: list[Card], after: list[Card], data: bytes, date: str | None = None) -> bytes:
    """One header-data unit, padded, with its CHECKSUM."""
    if date is None:
        date = next(str(value) for keyword, value, _ in cards if keyword == "DATE")
    note = f"HDU checksum updated {date}T00:00:00Z"
    tail = b"".join(card(*item) for item in after) + b"END".ljust(CARD)
    head = b"".join(card(*item) for item in cards)
    padded_data = data + b"\0" * (-len(data) % BLOCK)

    def header(text: str) -> bytes:
        whole = head + card("CHECKSUM", text, note) + tail
        return whole.ljust(ceil(len(whole) / BLOCK) * BLOCK)

    blank = header("0" * 16)
    total = ones_complement_sum(blank) + ones_complement_sum(padded_data)
    total = (total & 0xFFFFFFFF) + (total >> 32)
    return header(checksum_text(total)) + padded_data


def _primary(curve: SpocLightCurve) -> list[Card]:
    return [
        ("SIMPLE", True, "conforms to FITS standards"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 0, "number of array dimensions"),
        ("EXTEND", True, "file contains extensions"),
        ("NEXTEND", 2, "number of standard extensions"),
        ("EXTNAME", "PRIMARY", "name of extension"),
        ("EXTVER", 1, "extension version number (not format version)"),
        ("SIMDATA", curve.simulated, "file is based on simulated data"),
        ("ORIGIN", "SIMULATED" if curve.simulated else "NASA/Ames", "institution responsible for creating this file"),
        ("DATE", curve.date, "file creation date."),
        ("TSTART", Fixed(curve.tstart, 12), "observation start time in BTJD"),
        ("TSTOP", Fixed(curve.tstop, 12), "observation stop time in BTJD"),
        ("DATE-OBS", _calendar_text(curve.tstart), "TSTART as UTC calendar date"),
        ("DATE-END", _calendar_text(curve.tstop), "TSTOP as UTC calendar date"),
        ("CREATOR", "0 LightCurveExporterPipelineModule", "pipeline job and program used"),
        ("PROCVER", curve.processing, "SW version"),
        ("FILEVER", "1.0", "file format version"),
        ("TIMVERSN", "OGIP/93-003", "OGIP memo number for file format"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("DATA_REL", curve.data_release, "data release version number"),
        ("OBJECT", _object(curve), "string version of target id"),
        ("TICID", curve.tic, "unique tess target identifier"),
        ("SECTOR", curve.sector, "Observing sector"),
        ("CAMERA", curve.camera, "Camera number"),
        ("CCD", curve.ccd, "CCD chip number"),
        ("PXTABLE", 128, "pixel table id"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", Fixed(curve.ra, 16), "[deg] right ascension"),
        ("DEC_OBJ", Fixed(curve.dec, 16), "[deg] declination"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
        ("PMRA", Fixed(0.0, 8), "[mas/yr] RA proper motion"),
        ("PMDEC", Fixed(0.0, 8), "[mas/yr] Dec proper motion"),
        ("PMTOTAL", Fixed(0.0, 8), "[mas/yr] total proper motion"),
        ("TESSMAG", _eight(curve.tmag), "[mag] TESS magnitude"),
        ("TEFF", _eight(curve.teff), "[K] Effective temperature"),
        ("LOGG", _eight(curve.logg), "[cm/s2] log10 surface gravity"),
        ("MH", None, "[log10([M/H])] metallicity"),
        ("RADIUS", _eight(curve.radius), "[solar radii] stellar radius"),
        ("TICVER", "8.1", "TIC version"),
        ("CRMITEN", True, "spacecraft cosmic ray mitigation enabled"),
        ("CRBLKSZ", 10, "[exposures] s/c cosmic ray mitigation block siz"),
        ("CRSPOC", False, "SPOC cosmic ray cleaning enabled"),
    ]


def _identity(curve: SpocLightCurve, name: str) -> list[Card]:
    return [
        ("INHERIT", True, "inherit the primary header"),
        ("EXTNAME", name, "name of extension"),
        ("EXTVER", 1, "extension version number (not format version)"),
        ("SIMDATA", curve.simulated, "file is based on simulated data"),
        ("TELESCOP", "TESS", "telescope"),
        ("INSTRUME", "TESS Photometer", "detector type"),
        ("OBJECT", _object(curve), "string version of target id"),
        ("TICID", curve.tic, "unique tess target identifier"),
        ("RADESYS", "ICRS", "reference frame of celestial coordinates"),
        ("RA_OBJ", Fixed(curve.ra, 16), "[deg] right ascension"),
        ("DEC_OBJ", Fixed(curve.dec, 16), "[deg] declination"),
        ("EQUINOX", 2000.0, "equinox of celestial coordinate system"),
    ]


def _light_curve_cards(curve: SpocLightCurve) -> list[Card]:
    cards: list[Card] = [
        ("XTENSION", "BINTABLE", "marks the beginning of a new HDU"),
        ("BITPIX", 8, "array data type"),
        ("NAXIS", 2, "number of array dimensions"),
        ("NAXIS1", ROW.itemsize, "length of first array dimension"),
        ("NAXIS2", len(curve.table), "length of second array dimension"),
        ("PCOUNT", 0, "group parameter count (not used)"),
        ("GCOUNT", 1, "group count (not used)"),
        ("TFIELDS", len(COLUMNS), "number of table fields"),
    ]
    for number, (name, code, unit, display, title, unit_note) in enumerate(COLUMNS, start=1):
        cards.append((f"TTYPE{number}", name, f"column title: {title}"))
        cards.append((f"TFORM{number}", code, f"column format: {FORMATS[code][1]}"))
        if unit:
            cards.append((f"TUNIT{number}", unit, f"column units: {unit_note}"))
        cards.append((f"TDISP{number}", display, "column display format"))
    cards.extend(_identity(curve, "LIGHTCURVE"))
    elapsed = curve.tstop - curve.tstart
    frames = round(curve.cadence_seconds / 2)
    cards += [
        ("EXPOSURE", Fixed(elapsed * 0.792, 12), "[d] time on source"),
        ("TIMEREF", "SOLARSYSTEM", "barycentric correction applied to times"),
        ("TASSIGN", "SPACECRAFT", "where time is assigned"),
        ("TIMESYS", "TDB", "time system is Barycentric Dynamical Time (TDB)"),
        ("BJDREFI", 2457000, "integer part of BTJD reference date"),
        ("BJDREFF", Fixed(0.0, 8), "fraction of the day in BTJD reference date"),
        ("TIMEUNIT", "d", "time unit for TIME, TSTART and TSTOP"),
        ("TELAPSE", Fixed(elapsed, 12), "[d] TSTOP - TSTART"),
        ("LIVETIME", Fixed(elapsed * 0.792, 16), "[d] TELAPSE multiplied by DEADC"),
        ("TSTART", Fixed(curve.tstart, 12), "observation start time in BTJD"),
        ("TSTOP", Fixed(curve.tstop, 12), "observation stop time in BTJD"),
        ("DATE-OBS", _calendar_text(curve.tstart), "TSTART as UTC calendar date"),
        ("DATE-END", _calendar_text(curve.tstop), "TSTOP as UTC calendar date"),
        ("DEADC", Fixed(0.792, 16), "deadtime correction"),
        ("TIMEPIXR", 0.5, "bin time beginning=0 middle=0.5 end=1"),
        ("TIERRELA", Words("1.16E-05"), "[d] relative time error"),
        ("INT_TIME", Fixed(1.98, 12), "[s] photon accumulation time per frame"),
        ("READTIME", Fixed(0.02, 12), "[s] readout time per frame"),
        ("FRAMETIM", Fixed(2.0, 12), "[s] frame time (INT_TIME + READTIME)"),
        ("NUM_FRM", frames, "number of frames per time stamp"),
        ("TIMEDEL", Fixed(curve.cadence_seconds / 86400, 18), "[d] time resolution of data"),
        ("BACKAPP", True, "background is subtracted"),
        ("DEADAPP", True, "deadtime applied"),
        ("VIGNAPP", True, "vignetting or collimator correction applied"),
    ]
    gains, reads = (5.25, 5.17, 5.12, 5.2), (10.24, 7.24, 7.27, 9.52)
    cards += [(f"GAIN{c}", v, f"[electrons/count] CCD output {c} gain") for c, v in zip("ABCD", gains, strict=True)]
    cards += [(f"READNOI{c}", v, f"[electrons] read noise CCD output {c}") for c, v in zip("ABCD", reads, strict=True)]
    cards += [
        ("NREADOUT", round(frames * 0.8), "number of read per cadence"),
        ("FXDOFF", 209700, "compression fixed offset"),
        ("CDPP0_5", _eight(curve.cdpp[0]), "RMS CDPP on 0.5-hr time scales"),
        ("CDPP1_0", _eight(curve.cdpp[1]), "RMS CDPP on 1.0-hr time scales"),
        ("CDPP2_0", _eight(curve.cdpp[2]), "RMS CDPP on 2.0-hr time scales"),
        ("CROWDSAP", _eight(curve.crowding), "Ratio of target flux to total flux in op. ap."),
        ("FLFRCSAP", _eight(curve.aperture_share), "Frac. of target flux w/in the op. aperture"),
        ("NSPSDDET", 0, "Number of SPSDs detected"),
        ("NSPSDCOR", 0, "Number of SPSDs corrected"),
        ("PDCVAR", None, "Target variability"),
        ("PDCMETHD", "msMAP", "PDC algorithm used for target"),
        ("NUMBAND", 3, "Number of scale bands"),
    ]
    for band, fit in enumerate(("reducedRobust", "prior", "prior"), start=1):
        cards.append((f"FITTYPE{band}", fit, f"Fit type used for band {band}"))
        cards.append((f"PR_GOOD{band}", None, f"Prior goodness for band {band}"))
        cards.append((f"PR_WGHT{band}", None, f"Prior weight for band {band}"))
    metrics = (
        ("TOT", "total"),
        ("COR", "correlation"),
        ("VAR", "variability"),
        ("NOI", "noise"),
        ("EPT", "earth point"),
    )
    for short, long in metrics:
        cards.append((f"PDC_{short}", None, f"PDC {long} goodness metric for target"))
        cards.append((f"PDC_{short}P", None, f"PDC_{short} percentile compared to mod/out"))
    return cards


def _after_checksum(curve: SpocLightCurve) -> list[Card]:
    place = f"{curve.camera}{curve.ccd}"
    cards: list[Card] = [
        (f"TMOFST{place}", 1.0, f"(s) readout delay for camera {curve.camera} and ccd {curve.ccd}"),
    ]
    cards += [(f"MEANBLC{output}", 6574, f"[count] FSW mean black level CCD output {output}") for output in "ABCD"]
    return cards


def _aperture_cards(curve: SpocLightCurve, image: NDArray[np.int32]) -> list[Card]:
    scale = 0.005657736158444  # degrees a pixel, of sector 1, camera 4
    cards: list[Card] = [
        ("XTENSION", "IMAGE", "marks the beginning of a new HDU"),
        ("BITPIX", 32, "array data type"),
        ("NAXIS", 2, "number of array dimensions"),
        ("NAXIS1", image.shape[1], "length of first array dimension"),
        ("NAXIS2", image.shape[0], "length of second array dimension"),
        ("PCOUNT", 0, "group parameter count (not used)"),
        ("GCOUNT", 1, "group count (not used)"),
    ]
    return cards + _identity(curve, "APERTURE") + [
        ("WCSAXES", 2, "number of WCS axes"),
        ("CTYPE1", "RA---TAN", "right ascension coordinate type"),
        ("CTYPE2", "DEC--TAN", "declination coordinate type"),
        ("CRPIX1", Fixed((image.shape[1] + 1) / 2, 15), "[pixel] reference pixel along image axis 1"),
        ("CRPIX2", Fixed((image.shape[0] + 1) / 2, 15), "[pixel] reference pixel along image axis 2"),
        ("CRVAL1", Fixed(curve.ra, 16), "[deg] right ascension at reference pixel"),
        ("CRVAL2", Fixed(curve.dec, 16), "[deg] declination at reference pixel"),
        ("CUNIT1", "deg", "physical unit in column dimension"),
        ("CUNIT2", "deg", "physical unit in row dimension"),
        ("CDELT1", Fixed(-scale, 15), "[deg] pixel scale in RA dimension"),
        ("CDELT2", Fixed(scale, 18), "[deg] pixel scale in Dec dimension"),
        ("PC1_1", 1.0, "linear transformation element cos(th)"),
        ("PC1_2", 0.0, "linear transformation element -sin(th)"),
        ("PC2_1", 0.0, "linear transformation element sin(th)"),
        ("PC2_2", 1.0, "linear transformation element cos(th)"),
        ("WCSNAMEP", "PHYSICAL", "name of world coordinate system alternate P"),
        ("WCSAXESP", 2, "number of WCS physical axes"),
        ("CTYPE1P", "RAWX", "physical WCS axis 1 type CCD col"),
        ("CUNIT1P", "PIXEL", "physical WCS axis 1 unit"),
        ("CRPIX1P", 1, "reference CCD column"),
        ("CRVAL1P", _corner(curve, "MOM_CENTR1"), "value at reference CCD column"),
        ("CDELT1P", 1.0, "physical WCS axis 1 step"),
        ("CTYPE2P", "RAWY", "physical WCS axis 2 type CCD row"),
        ("CUNIT2P", "PIXEL", "physical WCS axis 2 units"),
        ("CRPIX2P", 1, "reference CCD row"),
        ("CRVAL2P", _corner(curve, "MOM_CENTR2"), "value at reference CCD row"),
        ("CDELT2P", 1.0, "physical WCS axis 2 step"),
        ("NPIXSAP", int((image & 2 != 0).sum()), "Number of pixels in optimal aperture"),
        ("NPIXMISS", 0, "Number of op. aperture pixels not collected"),
    ]  # fmt: skip


def _aperture(curve: SpocLightCurve) -> NDArray[np.int32]:
    """11 x 11 pixels, all collected (1) on output B (64): a disc (2, 8) that grows with brightness, background (4)."""
    tmag = 10.0 if curve.tmag is None else curve.tmag
    row, column = np.mgrid[-5:6, -5:6]
    distance = np.hypot(row, column)
    image = np.full((11, 11), 65, dtype=np.int32)
    image[distance <= np.clip(2.2 - 0.25 * (tmag - 9), 0.5, 4.0)] |= 2 | 8
    image[distance >= 5.0] |= 4
    return image


def _corner(curve: SpocLightCurve, column: str) -> int:
    """CCD pixel of the stamp's first column or row, five before the star."""
    measured = curve.table[column]
    measured = measured[np.isfinite(measured)]
    return round(float(np.median(measured))) - 5 if measured.size else 1


def _object(curve: SpocLightCurve) -> str:
    return f"TIC {curve.tic} simulated" if curve.simulated else f"TIC {curve.tic}"


def _eight(value: float | None) -> Fixed | None:
    return None if value is None else Fixed(value, 8)


def _calendar(btjd: float) -> datetime:
    """Calendar date of a BTJD; the minute between TDB and UTC is left out."""
    return datetime(2014, 12, 8, 12, tzinfo=UTC) + timedelta(days=btjd)


def _calendar_text(btjd: float) -> str:
    return _calendar(btjd).isoformat(timespec="milliseconds").removesuffix("+00:00")
