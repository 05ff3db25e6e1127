"""Posts a report to a webhook of Slack or Teams; the webhook's address is a secret and stands in no message."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import urlsplit

from omni.delivery.destinations import ChatDestination, is_loopback
from omni.delivery.outgoing import DeliveryFailed, Outgoing
from service.kit.frame.display.inert import chat_text, markdown, one_line

_TIMEOUT_S = 20.0
_LONGEST_TITLE, _LONGEST_LINE = 150, 2_000  # Slack's header block takes 150 characters, a section 3,000
_PASSING = frozenset({408, 425, 429})


def slack_payload(report: Outgoing, link: str | None) -> dict[str, Any]:
    """Return the message for Slack: blocks of plain text, in which nothing is markup, a mention or an emoji."""
    title = one_line(report.title, _LONGEST_TITLE)
    lines = [one_line(line, _LONGEST_LINE) for line in report.lines]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title)}]
    blocks += [{"type": "section", "text": _plain(line)} for line in lines]
    if link:
        button = {"type": "button", "text": _plain("Open the report"), "url": link}
        blocks.append({"type": "actions", "elements": [button]})
    # What notifications show, and programs that know no blocks.
    fallback = chat_text("\n".join([title, *lines]))
    return {"text": fallback, "blocks": blocks, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def teams_payload(report: Outgoing, link: str | None) -> dict[str, Any]:
    """Return the message for Teams: an adaptive card, whose text blocks would read Markdown, so it is escaped."""
    texts = [markdown(line, _LONGEST_LINE) for line in report.lines]
    title = {
        "type": "TextBlock",
        "text": markdown(report.title, _LONGEST_TITLE),
        "weight": "Bolder",
        "size": "Medium",
        "wrap": True,
    }
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, *({"type": "TextBlock", "text": text, "wrap": True} for text in texts)],
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the report", "url": link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def post_to_chat(report: Outgoing, destination: ChatDestination, environment: Mapping[str, str]) -> None:
    """Post the report.

    Raises:
        DeliveryFailed: the address is missing or unsafe, the webhook cannot be reached, or it does not answer with 2xx.
    """
    name = destination.url_from
    url = environment.get(name, "")
    _check(url, name)
    link = destination.page_link.format(report=report.report_id) if destination.page_link else None
    build = slack_payload if destination.kind == "slack" else teams_payload
    body = json.dumps(build(report, link)).encode()
    asked = urllib.request.Request(  # noqa: S310 - the scheme is checked above
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    proxies = urllib.request.ProxyHandler({}) if is_loopback(urlsplit(url).hostname or "") else None
    opener = urllib.request.build_opener(_NoRedirect, *([proxies] if proxies else []))
    try:
        with opener.open(asked, timeout=_TIMEOUT_S):
            return
    except urllib.error.HTTPError as err:
        with err:
            passing = err.code in _PASSING or err.code >= 500
            wait = _seconds(err.headers.get("Retry-After"))
        raise DeliveryFailed(f"the webhook answered {err.code}", passing=passing, retry_after_s=wait) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as err:
        reason = getattr(err, "reason", None)
        kind = type(reason if isinstance(reason, BaseException) else err).__name__
        raise DeliveryFailed(f"the webhook cannot be reached: {kind}", passing=True) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the report where nobody said it may go."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Refuse every redirect; the answer's code is then an error."""


def _check(url: str, name: str) -> None:
    if not url:
        raise DeliveryFailed(f"the environment variable {name} is not set", passing=False)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        sound = bool(host) and parts.username is None and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        sound, host, parts = False, "", urlsplit("")
    if not sound or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise DeliveryFailed(f"the environment variable {name} holds no https address", passing=False)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and len(text) < 7 else None


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
