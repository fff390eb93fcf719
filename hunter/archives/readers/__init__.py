"""How each kind of light curve file is read: one file, one format."""
