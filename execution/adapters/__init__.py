"""Venues behind the terminal port. What must not live here: risk, sizing or journal rules."""
