"""The provider of docs/channels.md: it knows a key once, can be asked, takes batches and signs what it reports.

With `keyless` it forgets every key, and can still be asked.
"""

from __future__ import annotations

from tests.standins.base import Asked, Said, Standin, main, said


class PagerService(Standin):
    """POST /send, POST /send/batch, GET /sent?key=…"""

    name = "pager"

    def __init__(self, **facts: object) -> None:
        super().__init__(**facts)  # type: ignore[arg-type]
        self.known: dict[str, str] = {}
        self.to: dict[str, str] = {}

    def forget(self) -> None:
        super().forget()
        self.known.clear()
        self.to.clear()

    def answer(self, asked: Asked) -> Said:
        if asked.method == "GET":
            key = asked.query["key"]
            self.counts.found[key] += 1
            return said({"id": self.known[key]}) if key in self.known else said({"error": "unknown"}, 404)
        told = asked.json()
        if asked.path == "/send/batch":
            return said([self._take(asked, one) for one in told])
        answer = self._take(asked, told)
        return said(answer, 422 if "error" in answer else 200)

    def _take(self, asked: Asked, told: dict[str, str]) -> dict[str, str]:
        key = told["key"]
        if code := self.refusing(asked, key, told["to"]):
            return {"error": code}
        self.took(key, known=key in self.known)
        self.to[key] = told["to"]
        return {"id": self.known.setdefault(key, f"p{len(self.known) + 1}")}


if __name__ == "__main__":
    main(PagerService())
