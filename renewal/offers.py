"""Sums of the offers: pure, without Django."""
