"""Sessions as Django keeps them in the database, read by a statement written by hand: every page of a reader asks."""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from tenants import rows

_SESSIONS = rows.Joined("django_session session", session=Session)


class SessionStore(db.SessionStore):
    """Django's, but for how a live one is found."""

    def _get_session_from_db(self) -> Session | None:
        facts = {"key": self.session_key, "now": timezone.now()}
        found = _SESSIONS.one("session.session_key = %(key)s AND session.expire_date > %(now)s", facts)
        if found is None:
            self._session_key = None
            return None
        session: Session = found["session"]
        return session
