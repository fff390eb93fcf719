"""The science: arrays in, frozen results out; no files, no network, no clock."""
