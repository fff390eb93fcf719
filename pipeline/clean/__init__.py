"""From files to one light curve: quality masks, stitching, detrending."""

from pipeline.clean.cleaning import VERSION, clean
from pipeline.clean.detrend import DetrendSettings, detrend
from pipeline.clean.stitch import CleanSettings
from pipeline.ephemeris import transit_mask

__all__ = ["VERSION", "CleanSettings", "DetrendSettings", "clean", "detrend", "transit_mask"]
