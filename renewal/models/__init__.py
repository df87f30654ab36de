"""The tables of this room: what becomes of ending leases, and what was said about them."""

from renewal.models.answered import *  # noqa: F403 - every table below is the room's own
from renewal.models.held import *  # noqa: F403
from renewal.models.renewing import *  # noqa: F403
