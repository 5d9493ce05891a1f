"""Leaves: parts that know nothing of this app and could be pasted unchanged into another."""
