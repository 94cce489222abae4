"""Moves of guests from host to host: how they go, how they will end, and the record that stays."""
