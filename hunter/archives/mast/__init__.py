"""MAST, the archive of TESS: what its names say, what it lists, and how it is asked."""
