"""The tables of this room: what becomes of ending leases, what was said about them, and what rents are published."""

from renewal.models.answered import *  # noqa: F403 - every table below is the room's own
from renewal.models.asked import *  # noqa: F403
from renewal.models.batched import *  # noqa: F403
from renewal.models.held import *  # noqa: F403
from renewal.models.priced import *  # noqa: F403
from renewal.models.renewing import *  # noqa: F403
from renewal.models.rounds import *  # noqa: F403
