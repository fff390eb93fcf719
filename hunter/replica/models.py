"""Models of a star's image as MAST lays them out, made here: simulated, a round spot with a wing."""

import io
from functools import lru_cache

import numpy as np

ROOT = "/missions/tess/models/prf_fitsfiles/"
FOLDERS = ("start_s0001", "start_s0004")
COLUMNS = (45, 557, 1069, 1580, 2092)  # of the detector
ROWS = (1, 513, 1025, 1536, 2048)
SAMPLES, PIXEL = 117, 9  # along each axis; in one pixel
SIGMA = 0.8  # pixels
WING, WIDER = 0.15, 2.2  # share of the light, and how much wider


def folder_of(path: str) -> tuple[int, int] | None:
    """Camera and CCD of a folder of models, ``start_s0004/cam1_ccd2/``; None for any other path."""
    for start in FOLDERS:
        for camera in range(1, 5):
            for ccd in range(1, 5):
                if path == f"{start}/cam{camera}_ccd{ccd}/":
                    return camera, ccd
    return None


def names(camera: int, ccd: int) -> list[str]:
    """The files of a folder: the models, and the photometric ones that nobody here wants."""
    plain = [f"tess2019107181900-prf-{camera}-{ccd}-row{row:04d}-col{col:04d}.fits" for row in ROWS for col in COLUMNS]
    return plain + [name.replace("-prf-", "-photprf-") for name in plain[:1]]


def page(camera: int, ccd: int) -> bytes:
    """The list of a folder as a web server writes it."""
    links = "".join(f'<tr><td><a href="{name}">{name}</a></td></tr>\n' for name in names(camera, ccd))
    head = "<!DOCTYPE html>\n<html><head><title>Index</title></head>"
    return f"{head}<body><table>\n{links}</table></body></html>\n".encode()


@lru_cache(maxsize=32)
def model(name: str) -> bytes:
    """One file: 117 x 117 samples, 13 pixels of 9, summing to 1 in each phase; and their uncertainties."""
    from astropy.io import fits

    away = (np.arange(SAMPLES) - (SAMPLES - 1) / 2) / PIXEL
    square = away[:, None] ** 2 + away[None, :] ** 2
    image = np.zeros((SAMPLES, SAMPLES))
    for share, sigma in ((1 - WING, SIGMA), (WING, SIGMA * WIDER)):
        image += share * np.exp(-square / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    primary = fits.PrimaryHDU(image)
    row, column = int(name[-17:-13]), int(name[-9:-5])
    primary.header.update({"CRVAL1P": column, "CRVAL2P": row, "CDELT1P": 1 / PIXEL, "CDELT2P": 1 / PIXEL})
    memory = io.BytesIO()
    fits.HDUList([primary, fits.ImageHDU(np.full_like(image, 1e-6), name="UNCERTAINTIES")]).writeto(memory)
    return memory.getvalue()
