"""Telling people: a file for each kind of channel, the messages there are, and their delivery from the outbox."""
