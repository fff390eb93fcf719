"""The [archive] table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The [archive] table: where light curves come from, and which of several is taken."""

    source: str = ""  # a folder of light curves, or one file
    # one product per sector, the first of these authors; those not named come after all of these
    prefer: tuple[str, ...] = (
        "SPOC", "SIMULATED", "TESS-SPOC", "QLP", "TGLC", "ELEANOR", "KEPLER", "K2", "K2SFF", "LIGHTKURVE", "FITS",
        "CSV",
    )  # fmt: skip
    # the flux column: the first of these that a file has, in any case of letters
    columns: tuple[str, ...] = (
        "PDCSAP_FLUX", "KSPSAP_FLUX", "SYS_RM_FLUX", "DET_FLUX", "CAL_APER_FLUX", "CAL_PSF_FLUX", "CORR_FLUX", "FCOR",
        "FLUX", "SAP_FLUX",
    )  # fmt: skip
