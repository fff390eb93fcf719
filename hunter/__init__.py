"""Runs things: commands, settings, archives, checkpoints, the chain, the engine."""

__version__ = "0.1.0"
