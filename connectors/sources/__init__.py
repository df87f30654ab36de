"""One file per source: each turns the rows of a file into records, or into bad records with a reason."""


class Unusable(Exception):
    """The file as a whole cannot be used; the message says why, fit for a person."""
