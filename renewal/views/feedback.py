"""Questions about living here, each behind a link of its own and without login.

GET  /m/<token>        the bill's month and three faces: no name, no amount, and not what was answered; changes nothing
POST /m/<token>        mood=good|soso|bad, text=…: the mood holds until the next bill; refused: 422, the page
GET  /s/<token>        the survey: eleven numbers, reasons, a sentence; the same for everybody; changes nothing
POST /s/<token>        score=0…10, reason=… (several), text=…: may be given anew on the same day; refused: 422, the page
POST /m/<token>/stop   no more questions, by one tap, as /s/<token>/stop; undo=1 takes that back in the same browser

Previews and scanners fetch the pages as they like. After the next bill the page says so, and leads to the person's own
question about that one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from renewal import preferences, throttles, visitors
from renewal.preferences import QUESTIONS, Where
from renewal.views.frame import found, page, refusal, show, token_of
from tenants import clock, feedback, links, surveys
from tenants.models import BillAsk, Link
from tenants.vocabulary import MOODS

FACES = {"good": "😊", "soso": "😐", "bad": "😞"}
UNDO = timedelta(minutes=30)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def mood(request: HttpRequest, token: str) -> HttpResponse:
    """The question about a bill, and its answer."""
    key, now = token_of(token), clock.now()
    typed = {"mood": request.POST.get("mood", "")[:8], "text": request.POST.get("text", "")}
    try:
        link = found(request, key, purpose=Link.Purpose.MOOD)
        if request.method != "POST":
            return _mood_page(request, key, feedback.asked(key, now=now))
        throttles.answering(link, now=now)
        one = feedback.give(key, mood=typed["mood"], words=typed["text"], now=now)
    except feedback.NoMood as error:
        one = feedback.asked(key, now=now)
        return _mood_page(request, key, one, typed=typed, error=str(error), status=422)
    except feedback.Over as over:
        newest = reverse("mood", args=[over.newest]) if over.newest else ""
        return show(request, "h5/mood_over.html", {"newest": newest})
    except links.NotUsable as error:
        return _gone(request, error)
    context = {"mood": typed["mood"], "face": FACES[typed["mood"]], "name": MOODS[typed["mood"]]}
    again = reverse("mood", args=[key])
    return show(request, "h5/mood_given.html", {**context, "month": feedback.month_words(one.month), "again": again})


def _mood_page(
    request: HttpRequest,
    key: str,
    one: BillAsk,
    *,
    typed: dict[str, str] | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "month": feedback.month_words(one.month),
        "faces": [{"code": code, "face": FACES[code], "name": name} for code, name in MOODS.items()],
        "typed": typed or {},
        "error": error,
        "most": feedback.MOST_WORDS,
        "stop_at": reverse("mood-stop", args=[key]),
    }
    return show(request, "h5/mood.html", context, status=status)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def survey(request: HttpRequest, token: str) -> HttpResponse:
    """The quarterly survey, and its answer."""
    key, now = token_of(token), clock.now()
    score, reasons = request.POST.get("score", "")[:4], request.POST.getlist("reason")[:20]
    text = request.POST.get("text", "")
    try:
        link = found(request, key, purpose=Link.Purpose.SURVEY)
        if request.method != "POST":
            surveys.asked(key, now=now)
            return _survey_page(request, key)
        throttles.answering(link, now=now)
        one = surveys.answer(key, score=score, reasons=reasons, words=text, now=now)
    except surveys.NoAnswer as error:
        typed = {"score": score, "reasons": reasons, "text": text}
        return _survey_page(request, key, typed=typed, error=str(error), status=422)
    except surveys.Settled:
        return show(request, "h5/survey_given.html", {"settled": True})
    except links.NotUsable as error:
        return _gone(request, error)
    return show(request, "h5/survey_given.html", {"score": one.score, "again": reverse("survey", args=[key])})


def _survey_page(
    request: HttpRequest, key: str, *, typed: dict[str, Any] | None = None, error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "scores": [str(n) for n in range(11)],
        "reasons": surveys.REASONS,
        "typed": typed or {},
        "error": error,
        "most": surveys.MOST_WORDS,
        "stop_at": reverse("survey-stop", args=[key]),
    }
    return show(request, "h5/survey.html", context, status=status)


@page
@require_POST
def stop(request: HttpRequest, token: str, *, purpose: str) -> HttpResponse:
    """No more questions, and back. A bare token may refuse: that tells nothing and must be easy."""
    key, now = token_of(token), clock.now()
    try:
        link = links.find(key, purpose=purpose, now=now)
    except links.NotUsable as error:
        return _gone(request, error)
    where = Where(
        link=link,
        page=f"{purpose}-stop",
        address=visitors.address(request.META),
        device=request.headers.get("User-Agent", "")[:300],
    )
    context: dict[str, Any] = {"back": reverse(purpose, args=[key])}
    if request.POST.get("undo"):
        held = request.session.pop("undo_questions", None) or {}
        if held.get("link") == link.pk and datetime.fromisoformat(held["until"]) > now:
            preferences.choose(QUESTIONS, granted=True, where=where, now=now)
            context["undone"] = True
    else:
        preferences.choose(QUESTIONS, granted=False, where=where, now=now)
        request.session["undo_questions"] = {"link": link.pk, "until": (now + UNDO).isoformat()}
        context["undo_at"] = request.path
    return show(request, "h5/questions_stopped.html", context)


def _gone(request: HttpRequest, error: links.NotUsable) -> HttpResponse:
    if isinstance(error, links.Unknown):
        throttles.miss(address=visitors.address(request.META), now=clock.now())
        return refusal(request, "no_question", 404)
    return refusal(request, "question_over", 410)
