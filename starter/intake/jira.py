"""Jira Service Management (cloud): its webhooks tell each change by its number in the issue's changelog, and each comment by its id.

So a change has the same key by webhook and by REST. What a rule of Jira's automation sends (unsigned, without a
`webhookEvent`) and what is too thin to tell whose it is, or whether the customer
saw it, is read over REST where the source has a `url`.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sla.intake import Adapter, Read, Told, Unusable, moment, part, text_of
from sla.signing import BadSignature, Hook, bearer, compare, nudge_id
from sla.source import Source
from starter.intake.jira_issue import Issue, address_of, field_of, objects

CREATED, UPDATED = "jira:issue_created", "jira:issue_updated"
ISSUE = (CREATED, UPDATED)


def read(body: Any, source: Source, received: datetime) -> Read:
    """One webhook of Jira's, or one web request of a rule of its automation."""
    if not isinstance(body, Mapping):
        raise Unusable("the body is no JSON object")
    kind = text_of(body.get("webhookEvent"), 200) or "automation"
    if kind not in (*ISSUE, "jira:issue_deleted", "comment_created", "automation"):
        return Read(ignored=f"{kind} is no event that matters", kind=kind)
    if kind == "comment_created" and body.get("issue") is None:
        return Read(ignored=f"it names no issue, as Jira Server's do not; {UPDATED} tells the comment too", kind=kind)
    if kind == "automation" and "issue" not in body and isinstance(body.get("fields"), Mapping):
        body = {**body, "issue": body}  # What a rule sends as "Issue data (Automation format)".
    issue = Issue(_ticket(body), source, received, part(body, "issue", "fields") or {})
    if not source.counts(*issue.project):
        return Read(ignored="its project is none that counts", kind=kind)
    comment, author = body.get("comment"), body.get("user")
    if kind == "jira:issue_deleted":
        at = moment(body.get("timestamp"), received, unit="ms")
        words = [issue.word("deleted", at, event="closed", by=issue.name(author))]
        return Read((issue.told(words),), kind=kind)
    if kind in ISSUE:
        changes = _changes(body, kind)
        words, spoken = [*issue.opening(changes), *issue.changes(changes)], None
        if isinstance(comment, Mapping) and body.get("issue_event_type_name") != "issue_comment_deleted":
            spoken = None if issue.echo(comment) else comment
        unsure = spoken is not None and issue.unsure(spoken)
        words += issue.comment(spoken) if spoken is not None and not unsure else []
        return Read((issue.told(words, look=unsure),), kind=kind)
    if kind == "comment_created" or isinstance(comment, Mapping):
        if not isinstance(comment, Mapping) or text_of(comment.get("id"), 100) is None:
            raise Unusable("the comment has no id", "comment.id")
        if issue.echo(comment):
            return Read(ignored="it is our own note", kind=kind)
        return _commented(issue, comment, kind)
    if source.url is not None:
        return Read((Told(issue.ticket, look=True),), kind=kind)
    words = issue.opening([])
    return Read((issue.told(words),), kind=kind) if words else Read(ignored="it names an issue and no more", kind=kind)


def _changes(body: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The one change that a webhook tells of. What an issue was created with is no change of it, but for who has it."""
    change = body.get("changelog")
    if not isinstance(change, Mapping):
        return []
    items = [one for one in objects(change.get("items")) if kind != CREATED or field_of(one) == "assignee"]
    return [{"author": body.get("user"), "created": body.get("timestamp"), **change, "items": items}]


def _commented(issue: Issue, comment: Mapping[str, Any], kind: str) -> Read:
    """A comment on an issue that is told in part; one that leaves open whose it is, or who saw it, is read over REST."""
    address = address_of(comment.get("author")) if issue.side(comment.get("author")) == "customer" else None
    if (issue.source.url is not None and issue.requester is None and address is None) or issue.unsure(comment):
        return Read((Told(issue.ticket, look=True),), kind=kind)
    words = issue.comment(comment)
    if not words:
        return Read(ignored="it is an automatic answer, or a note of nobody's", kind=kind)
    return Read((issue.told(words, address),), kind=kind)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """An issue as the API client hands it over: `issue`, `changes` (its whole changelog) and `comments`."""
    issue = Issue(_ticket(ticket), source, received, part(ticket, "issue", "fields") or {})
    if not source.counts(*issue.project):
        return None
    changes = objects(ticket.get("changes"))
    changes.sort(key=lambda change: moment(change.get("created"), received))
    words = [*issue.opening(changes), *issue.changes(changes)]
    for comment in objects(ticket.get("comments")):
        if not issue.echo(comment):
            words += issue.comment(comment)
    return issue.told(sorted(words, key=lambda one: one.occurred_at))


def _ticket(body: Mapping[str, Any]) -> str:
    """The issue's key."""
    key = text_of(part(body, "issue", "key"), 201)
    if key is None or len(key) > 200:
        raise Unusable("the issue has no key", "issue.key")
    return key


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """A webhook's `X-Hub-Signature: sha256=HEX` over the body; a rule of the automation can't sign: its secret is its password."""
    if not (given := hook.header("x-hub-signature")):
        bearer(hook, secrets)
        return
    if not given.startswith("sha256="):
        raise BadSignature("the signature is none by SHA-256")
    wanted = [hmac.new(secret.encode(), hook.raw, sha256).hexdigest().encode() for secret in secrets]
    compare(wanted, [given.removeprefix("sha256=")])


ADAPTER = Adapter(
    kind="jira",
    title="Jira Service Management",
    read=read,
    verify=verify,
    delivery_id=lambda hook: hook.header("x-atlassian-webhook-identifier") or nudge_id(hook),
    story=story,
)
