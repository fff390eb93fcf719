"""Where light curves come from: one file, one source."""
