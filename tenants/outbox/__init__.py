"""The one way out: whatever any room tells anybody goes through here, once.

    planned ──► queued ──► sending ──► accepted ──► delivered | undelivered
                  ▲          │
                  └──────────┤ (nothing left the house)
                             ├──► failed | dead
                             └──► unknown ──► accepted | delivered | undelivered | failed | queued | parked

`posting` writes messages, `tenants.recalling` takes offers back. `draining` sends what is due: `claiming`,
`rules` (what may no longer be sent), `envelopes`, `calling`, `marking`; `resolving` clears up what is unknown,
`receipts` hears what providers say later. `gates` stop and release channels, `keeping` is what a person does and
sees. Database triggers guard the lawful moves (migrations 0003 and 0016).
PostgreSQL is the truth; the broker is a doorbell that may be lost.
"""

from tenants.outbox.draining import drain
from tenants.outbox.posting import Draft, cancel_for_lease, post, post_many, ring

__all__ = ["Draft", "cancel_for_lease", "drain", "post", "post_many", "ring"]
