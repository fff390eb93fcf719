"""Light curve files of every layout, written by astropy (so that no reader is tested against itself)."""

import io
from pathlib import Path

import numpy as np
from astropy.io import fits

TIC = 261136679
ROWS = 400


def sky(rows: int = ROWS, seconds: float = 120.0, start: float = 1325.3) -> dict[str, np.ndarray]:
    """Times, fluxes and what goes with them; a cadence without time, one without flux, some flags."""
    rng = np.random.default_rng(7)
    time = start + np.arange(rows) * seconds / 86400
    flux = (1.0 + 1e-3 * rng.standard_normal(rows)).astype(np.float32)
    time[5], flux[9] = np.nan, np.nan
    quality = np.zeros(rows, dtype=np.int32)
    quality[[3, 17]] = 128, 4096
    return {
        "time": time,
        "flux": flux,
        "error": np.full(rows, 1e-3, dtype=np.float32),
        "quality": quality,
        "column": 10 + 1e-3 * rng.standard_normal(rows),
        "row": 20 + 1e-3 * rng.standard_normal(rows),
    }


def column(name: str, form: str, values: np.ndarray, unit: str | None = None) -> fits.Column:
    return fits.Column(name, form, unit, array=values)


def table(columns: list[fits.Column], name: str = "", **cards: object) -> fits.BinTableHDU:
    unit = fits.BinTableHDU.from_columns(columns, name=name or None)
    unit.header.update(cards)
    return unit


def aperture() -> fits.ImageHDU:
    return fits.ImageHDU(np.ones((11, 11), dtype=np.int32), name="APERTURE")


def fits_bytes(cards: dict[str, object], *units: fits.BinTableHDU | fits.ImageHDU, checksum: bool = True) -> bytes:
    """A whole file. The sums astropy writes are right, with and without DATASUM."""
    primary = fits.PrimaryHDU()
    primary.header["NEXTEND"] = len(units)
    primary.header.update(cards)
    stream = io.BytesIO()
    fits.HDUList([primary, *units]).writeto(stream, checksum=checksum)
    return stream.getvalue()


def spoc_columns(seen: dict[str, np.ndarray], quality: str = "QUALITY", scale: float = 1e4) -> list[fits.Column]:
    flux = seen["flux"] * np.float32(scale)
    return [
        column("TIME", "D", seen["time"], "BJD - 2457000, days"),
        column("TIMECORR", "E", np.zeros(flux.size)),
        column("CADENCENO", "J", np.arange(flux.size)),
        column("SAP_FLUX", "E", flux * np.float32(1.1), "e-/s"),
        column("SAP_FLUX_ERR", "E", seen["error"] * np.float32(scale)),
        column("PDCSAP_FLUX", "E", flux, "e-/s"),
        column("PDCSAP_FLUX_ERR", "E", seen["error"] * np.float32(scale)),
        column(quality, "J", seen["quality"]),
        column("MOM_CENTR1", "D", seen["column"]),
        column("MOM_CENTR2", "D", seen["row"]),
    ]


def spoc(
    tic: object = TIC, sector: int = 1, seconds: float = 120.0, rows: int = ROWS, checksum: bool = True, **cards: object
) -> bytes:
    """SPOC's layout; 200 s and longer is that of TESS-SPOC."""
    primary: dict[str, object] = {
        "EXTNAME": "PRIMARY",
        "ORIGIN": "NASA/Ames",
        "DATE": "2020-09-13",
        "CREATOR": "4295 LightCurveExporterPipelineModule",
        "PROCVER": "spoc-5.0.10-20200904",
        "TELESCOP": "TESS",
        "DATA_REL": 42,
        "OBJECT": f"TIC {tic}",
        "TICID": tic,
        "SECTOR": sector,
        "CAMERA": 4,
        "CCD": 2,
        "RA_OBJ": 84.291198,
        "DEC_OBJ": -80.469143,
        "TESSMAG": 5.097,
        "TEFF": 5950.0,
        "LOGG": 4.4,
        "RADIUS": None,
        **cards,
    }
    unit = table(
        spoc_columns(sky(rows, seconds)), "LIGHTCURVE", BJDREFI=2457000, BJDREFF=0.0, TIMEDEL=seconds / 86400
    )  # fmt: skip
    return fits_bytes(primary, unit, aperture(), checksum=checksum)


def kepler(
    kic: int = 10002792, quarter: int = 5, mission: str = "Kepler", start: float = 443.5, **cards: object
) -> bytes:
    seconds = float(cards.pop("seconds", 1765.463))  # type: ignore[arg-type]
    place = {"CAMPAIGN": quarter} if mission == "K2" else {"QUARTER": quarter}
    primary: dict[str, object] = {
        "CREATOR": "882886 FluxExporter2PipelineModule",
        "TELESCOP": "Kepler",
        "MISSION": mission,
        "OBJECT": f"{'EPIC' if mission == 'K2' else 'KIC'} {kic}",
        "KEPLERID": kic,
        "DATA_REL": 25,
        "OBSMODE": "short cadence" if seconds < 100 else "long cadence",
        "TEFF": 4524,
        "RA_OBJ": 287.867,
        "DEC_OBJ": 46.983,
        "KEPMAG": 13.0,
        **place,
        **cards,
    }
    columns = spoc_columns(sky(seconds=seconds, start=start), "SAP_QUALITY")
    unit = table(columns, "LIGHTCURVE", BJDREFI=2454833, BJDREFF=0.0, TIMEDEL=seconds / 86400, TSTART=start)
    return fits_bytes(primary, unit, aperture())


def qlp(tic: int = TIC, sector: int = 30) -> bytes:
    """Sectors up to 55 and from 56 on have other columns."""
    seconds = 600.0 if sector < 56 else 200.0
    seen = sky(seconds=seconds, start=2100.0 + sector)
    kind = "KSPSAP_FLUX" if sector < 56 else "DET_FLUX"
    columns = [
        column("TIME", "D", seen["time"]),
        column("CADENCENO", "J", np.arange(ROWS)),
        column("SAP_FLUX", "E", seen["flux"] * np.float32(1.01)),
        column(kind, "E", seen["flux"]),
        column(f"{kind}_ERR", "E", seen["error"]),
        column("QUALITY", "J", seen["quality"]),
        column("ORBITID", "J", np.full(ROWS, 9)),
        column("SAP_X", "E", seen["column"]),
        column("SAP_Y", "E", seen["row"]),
        column("SAP_BKG", "E", np.zeros(ROWS)),
    ]
    if sector >= 56:
        columns.append(column("SYS_RM_FLUX", "E", seen["flux"] * np.float32(1.02)))
    primary = {"ORIGIN": "MIT/QLP", "TELESCOP": "TESS", "TICID": tic, "OBJECT": f"TIC {tic}", "SECTOR": sector,
               "CAMERA": 1, "CCD": 3, "TESSMAG": 10.5, "TEFF": 0.0, "RADIUS": 1.2, "RA_OBJ": 10.0,
               "DEC_OBJ": 5.0}  # fmt: skip
    return fits_bytes(primary, table(columns, "LIGHTCURVE", BJDREFI=2457000, TIMEDEL=seconds / 86400), checksum=False)


def tglc(tic: str = str(TIC), sector: int = 30) -> bytes:
    seen = sky(seconds=600.0, start=2100.0)
    background = np.zeros(ROWS, dtype=np.int16)
    background[30] = 1
    columns = [
        column("time", "D", seen["time"]),
        column("psf_flux", "E", seen["flux"] * np.float32(900)),
        column("aperture_flux", "E", seen["flux"] * np.float32(1000)),
        column("cal_psf_flux", "E", seen["flux"] * np.float32(1.5)),
        column("cal_aper_flux", "E", seen["flux"]),
        column("background", "E", np.zeros(ROWS)),
        column("cadence_num", "J", np.arange(ROWS)),
        column("TESS_flags", "I", seen["quality"]),
        column("TGLC_flags", "I", background),
    ]
    primary = {"ORIGIN": "UCSB/TGLC", "TELESCOP": "TESS", "OBJECT": "Gaia DR3 5283965296476721664", "TICID": tic,
               "GAIADR3": 5283965296476721664, "SECTOR": sector, "CAMERA": 2, "CCD": 1, "TESSMAG": 12.1,
               "RA_OBJ": 10.0, "DEC_OBJ": 5.0}  # fmt: skip
    # as the genuine writer does: TIMEDEL is the span over the number of images, stretched by gaps
    cards = {"BJDREFI": 2457000, "BJDREFR": 0.0, "TIMEDEL": 0.0079, "XPTIME": 600}
    return fits_bytes(primary, table(columns, "LIGHTCURVE", **cards), checksum=False)


def eleanor(tic: int = TIC, sector: int = 1, full: bool = False) -> bytes:
    seen = sky(seconds=1800.0)
    columns = [
        column("TIME", "D", seen["time"]),
        column("RAW_FLUX", "D", seen["flux"] * 2000.0),
        column("CORR_FLUX", "D", seen["flux"] * 1000.0),
        column("FLUX_ERR", "D", np.full(ROWS, 4.0)),
        column("QUALITY", "J", seen["quality"]),
        column("X_CENTROID", "D", seen["column"]),
        column("Y_CENTROID", "D", seen["row"]),
        column("PCA_FLUX", "D", seen["flux"] * 1000.0),
    ]
    if full:
        columns.append(column("TPF", "169E", np.zeros((ROWS, 169), dtype=np.float32)))
    primary = {"EXTNAME": "PIXELS", "CREATOR": "astrocut", "ORIGIN": "STScI/MAST", "TELESCOP": "TESS",
               "TICID": None, "TIC_ID": tic, "SECTOR": sector, "CAMERA": 4, "CCD": 2, "TMAG": 5.1, "TESSMAG": 0.0,
               "TEFF": 0.0, "RADIUS": 0.0, "LOGG": 0.0, "RA_OBJ": 84.29, "DEC_OBJ": -80.47, "BJDREFI": 2457000,
               "BJDREFF": 0.0, "TIMEDEL": 1800 / 86400, "LITE": not full, "PCORIGIN": "MAST", "VERSION": "2.0.4",
               "CHECKSUM": "FULRHUKPFUKPFUKP"}  # fmt: skip
    whole = fits_bytes(primary, table(columns), checksum=False)
    return whole.replace(b"NEXTEND =", b"NOTEXTND=")  # eleanor writes none


def k2sff(epic: int = 201367065, campaign: int = 1) -> bytes:
    seen = sky(seconds=1765.463, start=1975.2)
    moving = np.zeros(ROWS, dtype=np.int16)
    moving[12] = 1
    units = [
        table(
            [
                column("T", "D", seen["time"]),
                column("FRAW", "D", seen["flux"] * (1.1 + number)),
                column("FCOR", "D", seen["flux"] * (1.0 + number)),
                column("ARCLENGTH", "D", np.zeros(ROWS)),
                column("MOVING", "I", moving),
                column("CADENCENO", "J", np.arange(ROWS)),
            ],
            name,
            BJDREFI=2454833,
            TIMEDEL=0.0204336,
        )
        for number, name in enumerate(("BESTAPER", "CIRC_APER0", "PRF_APER0"))
    ]
    primary = {"TELESCOP": "Kepler", "MISSION": "K2", "OBJECT": f"EPIC {epic}", "KEPLERID": epic, "CAMPAIGN": campaign}
    return fits_bytes(primary, *units, checksum=False)


def lightkurve_export(target: str = str(TIC), sector: int = 2, mission: str = "TESS", unit: str = "btjd") -> bytes:
    start = {"btjd": 1354.1, "bkjd": 443.5, "jd": 2458354.1}[unit]
    seen = sky(start=start)
    keep = np.isfinite(seen["time"])
    columns = [
        column("TIME", "D", seen["time"][keep], unit),
        column("FLUX", "E", seen["flux"][keep]),
        column("FLUX_ERR", "E", seen["error"][keep]),
        column("CADENCENO", "J", np.arange(keep.sum())),
        column("MOM_CENTR1", "D", seen["column"][keep]),
        column("MOM_CENTR2", "D", seen["row"][keep]),
        column("QUALITY", "J", seen["quality"][keep]),
    ]
    place = {"TESS": "SECTOR", "Kepler": "QUARTER", "K2": "CAMPAIGN"}[mission]
    primary = {"ORIGIN": "Unofficial data product", "CREATOR": "lightkurve.LightCurve.to_fits()", "DATE": "2026-06-23",
               "TELESCOP": "TESS" if mission == "TESS" else "Kepler", "MISSION": mission, "OBJECT": target,
               "PROCVER": "2.6.0", place: sector, "NEXTEND": 2, "RA_OBJ": 24.35, "DEC_OBJ": -45.68}  # fmt: skip
    return fits_bytes(primary, table(columns, "LIGHTCURVE"))


def pixels() -> bytes:
    cube = np.zeros((5, 9), dtype=np.float32)
    unit = table([column("TIME", "D", np.arange(5.0)), column("FLUX", "9E", cube)], "PIXELS")
    primary = {"TELESCOP": "TESS", "TICID": TIC, "CREATOR": "4295 TargetPixelExporterPipelineModule", "SECTOR": 1}
    return fits_bytes(primary, unit, aperture())


def save(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


_SPOC: list[bytes] = []


def spoc_once() -> bytes:
    """The same SPOC file every time, written once."""
    if not _SPOC:
        _SPOC.append(spoc())
    return _SPOC[0]
