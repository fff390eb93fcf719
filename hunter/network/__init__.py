"""The network: one polite way out, downloads that are verified, and the store of the files they give."""
