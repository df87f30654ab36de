"""The one way out: whatever any room tells anybody goes through here, once.

    planned ──► queued ──► sending ──► accepted ──► delivered | undelivered
                  ▲          │
                  └──────────┤ (nothing left the house)
                             ├──► failed | dead
                             └──► unknown ──► accepted | delivered | undelivered | failed | queued | parked

`posting` writes messages, `draining` sends what is due, `rules` says what may no longer be sent,
`keeping` is what a person does and sees. A database trigger guards the lawful moves (migration 0003).
PostgreSQL is the truth; the broker is a doorbell that may be lost.
"""

from tenants.outbox.draining import drain
from tenants.outbox.posting import Draft, cancel_for_lease, post, post_many, ring

__all__ = ["Draft", "cancel_for_lease", "drain", "post", "post_many", "ring"]
