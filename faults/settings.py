"""The product's settings for the processes of a sending campaign: a pager as its channel, and nothing but the sweep."""

from __future__ import annotations

import os

from renewal.settings import *  # noqa: F403

MORE_CHANNELS = {"pager": os.environ["FAULTS_PAGER"]}
CHANNELS = ["pager"]
PAGER_URL = os.environ["FAULTS_PAGER_URL"]
CELERY_IMPORTS = ["faults.tasks"]
SWEEP = {
    "task": os.environ["FAULTS_TASK"],
    "schedule": float(os.environ["FAULTS_EVERY"]),
    "options": {"expires": 5},
}
CELERY_BEAT_SCHEDULE = {"sweep": SWEEP} if os.environ["FAULTS_SWEEP"] else {}
