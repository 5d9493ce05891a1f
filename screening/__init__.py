"""Screenings: profiles ranked against one job, kept in the database."""
