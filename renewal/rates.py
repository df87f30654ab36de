"""The published rate card."""
