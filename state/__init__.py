"""The durable record of a hunt: targets, phases, signals, candidates, events."""
