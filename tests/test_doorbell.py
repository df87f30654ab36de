"""The broker that is a folder: no message is taken, and no list of queues read, before it is whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from queue import Empty
from threading import Barrier, Thread
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import filesystem

from renewal import doorbell

MESSAGES, SIZE = 300, 400_000


def ends(tmp_path: Path, transport: type) -> tuple[Any, Any]:
    """A channel to put messages into the folder, and another to take them out."""
    folders = {name: str(tmp_path / name) for name in ("control_folder", "processed_folder")}
    folders |= {name: str(tmp_path / "queue") for name in ("data_folder_in", "data_folder_out")}
    for folder in folders.values():
        Path(folder).mkdir(parents=True, exist_ok=True)
    writer, reader = (
        Connection("filesystem://", transport=transport, transport_options=folders).channel() for _each in range(2)
    )
    return writer, reader


def test_a_message_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    writer, reader = ends(tmp_path, doorbell.Transport)

    def ring() -> None:
        for n in range(MESSAGES):
            writer._put("bell", {"n": n, "body": "x" * SIZE})

    thread = Thread(target=ring)
    thread.start()
    heard: set[int] = set()
    try:
        while thread.is_alive() or any((tmp_path / "queue").iterdir()):
            with suppress(Empty):
                message = reader._get("bell")
                assert len(message["body"]) == SIZE
                heard.add(message["n"])
    finally:
        thread.join()
    assert len(heard) == MESSAGES


def test_a_message_whose_writing_broke_off_is_not_taken(tmp_path: Path) -> None:
    writer, reader = ends(tmp_path, doorbell.Transport)
    with pytest.raises(Exception, match="not JSON serializable"):
        writer._put("bell", {"body": object()})
    with pytest.raises(Empty):
        reader._get("bell")


def test_the_transport_it_stands_for_lets_it_be_taken(tmp_path: Path) -> None:
    """The red twin."""
    writer, reader = ends(tmp_path, filesystem.Transport)
    with pytest.raises(Exception, match="not JSON serializable"):
        writer._put("bell", {"body": object()})
    with pytest.raises(ValueError, match="Expecting value"):
        reader._get("bell")


BOUND = ("celery", "celery", "", "celery")  # exchange, routing key, pattern and queue


def test_of_many_who_ring_first_at_once_none_breaks_and_no_queue_is_lost(tmp_path: Path) -> None:
    many = 12
    for turn in range(20):
        ringers = [ends(tmp_path / str(turn), doorbell.Transport)[0] for _each in range(many)]
        start = Barrier(many)
        broken: list[Exception] = []

        def ring(n: int, ringer: Any, start: Barrier = start, broken: list[Exception] = broken) -> None:
            start.wait(timeout=30)
            try:
                ringer._queue_bind("celery", "celery", "", f"queue {n}")
            except Exception as error:
                broken.append(error)

        threads = [Thread(target=ring, args=each) for each in enumerate(ringers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert broken == []
        assert {bound.queue for bound in ringers[0].get_table("celery")} == {f"queue {n}" for n in range(many)}


def test_a_list_of_queues_that_was_left_empty_is_made_anew(tmp_path: Path) -> None:
    writer, reader = ends(tmp_path, doorbell.Transport)
    (tmp_path / "control_folder" / "celery.exchange").touch()
    writer._queue_bind(*BOUND)
    assert [tuple(bound) for bound in reader.get_table("celery")] == [BOUND[1:]]


def test_the_transport_it_stands_for_breaks_while_another_makes_the_list(tmp_path: Path) -> None:
    """The red twin: between making the file and writing it, it is empty."""
    writer, _reader = ends(tmp_path, filesystem.Transport)
    (tmp_path / "control_folder" / "celery.exchange").touch()
    with pytest.raises(ValueError, match="Expecting value"):
        writer._queue_bind(*BOUND)
