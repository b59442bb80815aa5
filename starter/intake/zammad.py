"""Zammad: a webhook hands over the ticket and one article, as they are when its job runs, which may be later than what it tells of.

An article is a word of its own, and has the same key over REST. States, priorities and owners are told with their times only by
the ticket's history: so where the source has a `url` the ticket is read over REST after each webhook, and where it has none the
webhook's picture of the ticket is taken, at the time of its last change.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha1, sha256
from typing import Any

from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, marked, moment, part, text_of, turned, word
from sla.markup import unmarked
from sla.signing import BadSignature, Hook, compare
from sla.source import Source, State

MOST_TEXT = 200_000
STATES: Mapping[str, State] = {
    "new": "open", "open": "open", "pending reminder": "waiting", "pending close": "waiting", "closed": "closed", "merged": "closed",
}  # fmt: skip
PRIORITIES = {"3 high": "P1", "2 normal": "P2", "1 low": "P3"}
NOBODY = 1
"""The user `-`, who has the tickets that nobody has."""
CHANGES = ("state", "priority", "owner")
_CHANNELS = {"email": "email", "phone": "phone", "web": "portal"}


def read(body: Any, source: Source, received: datetime) -> Read:
    """One webhook of Zammad's. Without an article, a ticket was changed and nobody wrote."""
    if not isinstance(body, Mapping):
        raise Unusable("the body is no JSON object")
    ticket, told = _Ticket(body.get("ticket"), source, received), body.get("article")
    article: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    wrote = text_of(article.get("id")) is not None
    kind = "ticket and article" if wrote else "ticket"
    if not source.counts(*ticket.group):
        return Read(ignored="its group is none that counts", kind=kind)
    if wrote and ticket.echo(article):
        return Read(ignored="it is our own note", kind=kind)
    if not wrote and source.is_ours(*_ids(ticket.now.get("updated_by"), ticket.now.get("updated_by_id"))):
        return Read(ignored="we changed it ourselves", kind=kind)
    first = wrote and ticket.is_first(article)
    words = [ticket.opening(article if first else None)] if first or source.url is None else []
    if wrote and not first:
        words += ticket.article(article)
    if source.url is None:
        words += ticket.picture()
    return Read((ticket.told(words, look=source.url is not None),), kind=kind)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """A ticket as the API client hands it over: `ticket`, all its `articles`, its `history` and the `users` in it."""
    found = _Ticket(ticket.get("ticket"), source, received, ticket.get("users"))
    if not source.counts(*found.group):
        return None
    articles = sorted(
        _objects(ticket.get("articles")), key=lambda one: one["id"] if isinstance(one.get("id"), int) else 0
    )
    changes = _objects(ticket.get("history"))
    words = [found.opening(articles[0] if articles else None, changes)]
    for article in articles[1:]:
        if not found.echo(article):
            words += found.article(article)
    for change in changes:
        words += found.change(change)
    return found.told(sorted(words, key=lambda one: one.occurred_at))


class _Ticket:
    """One ticket as it stands; its people are objects in a webhook, and names and numbers over REST."""

    def __init__(self, told: Any, source: Source, received: datetime, users: Any = None) -> None:
        self.now: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        id = text_of(self.now.get("id"), 201)
        if id is None or len(id) > 200:
            raise Unusable("the ticket has no id", "ticket.id")
        self.id, self.source, self.received = id, source, received
        self.users: Mapping[str, Any] = users if isinstance(users, Mapping) else {}
        self.requester = self.address(self.now.get("customer"), self.now.get("customer_id"))
        self.group = (_name(self.now.get("group")), text_of(self.now.get("group_id")))
        self.doubts: list[str] = []

    def word(self, what: str, at: Any, **said: Any) -> Delivery:
        """A word of this ticket under its key."""
        return word(f"{self.source.name}:{self.id}:{what}", moment(at, self.received), self.received, **said)

    def told(self, words: Sequence[Delivery], look: bool = False) -> Told:
        """All that is told of it."""
        found = [one for one in (text_of(self.now.get("organization_id")), _name(self.now.get("organization"))) if one]
        known = {one.casefold() for one in self.source.organisations}
        company = next((one for one in found if one.casefold() in known), found[-1] if found else None)
        doubts = tuple(dict.fromkeys(self.doubts))
        return Told(
            self.id, words=tuple(words), requester=self.requester, organisation=company, doubts=doubts, look=look
        )

    def opening(self, article: Any, changes: Sequence[Mapping[str, Any]] = ()) -> Delivery:
        """The ticket as it was filed, with the priority that it had before the first of these changes."""
        first = next((one for one in changes if one.get("attribute") == "priority"), None)
        priority = _name(self.now.get("priority")) if first is None else text_of(first.get("value_from"), 200)
        said = {
            "event": "opened", "by": self.requester,
            "channel": _CHANNELS.get(_name(self.now.get("create_article_type")) or _name(part(article, "type")) or "", "ticket"),
            "priority": self.source.priority(priority, PRIORITIES),
            "product": self.source.product(_name(self.now.get(self.source.product_field or ""))),
            "subject": text_of(self.now.get("title"), 1000), "body": _text(article),
        }  # fmt: skip
        return self.word("opened", self.now.get("created_at"), **said)

    def article(self, article: Mapping[str, Any]) -> list[Delivery]:
        """An article: the customer's, an agent's, an internal note. What the system or an absent customer sends is nobody's word."""
        id, at, text = text_of(article.get("id"), 100), article.get("created_at"), _text(article)
        author = self.address(article.get("created_by"), article.get("created_by_id"))
        sender, internal = (_name(article.get("sender")) or "").casefold(), article.get("internal") is True
        if (
            id is None
            or sender not in ("customer", "agent")
            or part(article, "preferences", "is-auto-response") is True
        ):
            return []
        if not internal and (
            sender == "customer" or self.source.is_customer(author, text_of(article.get("created_by_id")))
        ):
            by = self.address(article.get("origin_by"), article.get("origin_by_id")) or author
            return [self.word(f"article:{id}", at, event="customer_replied", by=by, body=text)]
        by = self.source.agent(author, text_of(article.get("created_by_id")))
        return [self.word(f"article:{id}", at, event="agent_replied", public=not internal, by=by, body=text)]

    def change(self, change: Mapping[str, Any]) -> list[Delivery]:
        """One line of the history. What we changed ourselves tells nothing."""
        actor = text_of(change.get("created_by_id"))
        if (
            change.get("object") != "Ticket"
            or change.get("type") != "updated"
            or change.get("attribute") not in CHANGES
        ):
            return []
        by = self.address(None, change.get("created_by_id"))
        if self.source.is_ours(by, actor):
            return []
        to, before = text_of(change.get("value_to"), 200), text_of(change.get("value_from"), 200)
        return self._turn(change["attribute"], to, before, change.get("created_at"), change.get("id_to"), by, actor)

    def picture(self) -> list[Delivery]:
        """State, priority and owner as they are, at the time of the last change; open, and closed once: it was opened again.

        It does not say what of it changed. So a priority counts where it is another than was told before, and an owner unless
        a customer made the change, who gives a ticket to nobody: what they write undoes nothing that was decided here.
        """
        at, actor = self.now.get("updated_at"), text_of(self.now.get("updated_by_id"))
        by, user = self.address(self.now.get("updated_by"), actor), self.now.get("updated_by")
        customers = part(user, "roles") == ["Customer"] or actor == text_of(self.now.get("customer_id"))
        words: list[Delivery] = []
        closed = "closed" if self.now.get("close_at") else None
        for attribute in CHANGES:
            value = self.now.get(attribute)
            name = self.address(value, None) or _name(value) if attribute == "owner" else _name(value)
            id = self.now.get(f"{attribute}_id")
            if attribute == "owner" and customers and text_of(id) != actor:
                continue
            whose = (None, None) if attribute == "priority" and customers else (by, actor)
            words += self._turn(attribute, name, closed, at, id, *whose, stands=True)
        return words

    def _turn(
        self, attribute: str, to: str | None, before: str | None, at: Any, id: Any, by: str | None, actor: str | None,
        stands: bool = False,
    ) -> list[Delivery]:  # fmt: skip
        if to is None or (attribute == "owner" and id in (NOBODY, None)):
            return []
        agent = self.source.agent(by, actor) if actor not in (None, text_of(self.now.get("customer_id"))) else by
        said: dict[str, Any]
        match attribute:
            case "priority":
                name = self.source.priority(to, PRIORITIES)
                said = {"event": "priority_changed", "to": name, "by": agent, "stands": stands}
            case "owner":
                name = self.source.agent(self.address(None, id) or to, text_of(id))
                said = (
                    {"event": "acknowledged", "by": name}
                    if text_of(id) == actor
                    else {"event": "assigned", "to": name, "by": agent}
                )
            case _:
                state = self.source.state(to, STATES)
                if state is None:
                    self.doubts.append(f"state {to!r} is none that we know; say under `statuses` what it means")
                event = turned(state, self.source.state(before, STATES))
                if event is None:
                    return []
                said = {"event": event, "by": agent}
        return [self.word(f"{attribute}:{text_of(id) or to}:{text_of(at, 40) or ''}", at, **said)]

    def is_first(self, article: Mapping[str, Any]) -> bool:
        """Whether the ticket was opened with this article."""
        ids = self.now.get("article_ids")
        numbers = [one for one in ids if isinstance(one, int)] if isinstance(ids, list) else []
        return article.get("id") == min(numbers) if numbers else self.now.get("article_count") == 1

    def echo(self, article: Mapping[str, Any]) -> bool:
        """Whether we wrote it ourselves."""
        ours = self.source.is_ours(*_ids(article.get("created_by"), article.get("created_by_id")))
        return ours or marked(_text(article), public=article.get("internal") is not True)

    def address(self, user: Any, id: Any) -> str | None:
        """Somebody's e-mail address, or else the name by which they log in."""
        known = user if isinstance(user, Mapping) else self.users.get(text_of(id) or "")
        return (
            text_of(part(known, "email"))
            or text_of(part(known, "login"))
            or (text_of(user) if isinstance(user, str) else None)
        )


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _name(value: Any) -> str | None:
    return text_of(part(value, "name"), 200) if isinstance(value, Mapping) else text_of(value, 200)


def _text(article: Any) -> str:
    """What an article says, without markup."""
    body = part(article, "body")
    if not isinstance(body, str):
        return ""
    page = (text_of(part(article, "content_type")) or "").casefold().startswith("text/html")
    return unmarked(body[:MOST_TEXT]).strip() if page else body


def _ids(user: Any, id: Any) -> tuple[str | None, ...]:
    login = text_of(user) if isinstance(user, str) else text_of(part(user, "login"))
    return text_of(id), text_of(part(user, "id")), login, text_of(part(user, "email"))


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """`X-Hub-Signature: sha1=HEX` over the body, by the HMAC-SHA1 token of the webhook."""
    given = hook.header("x-hub-signature")
    if not given.startswith("sha1="):
        raise BadSignature("there is no signature by SHA-1; set the webhook's signature token")
    compare(
        [hmac.new(secret.encode(), hook.raw, sha1).hexdigest().encode() for secret in secrets],
        [given.removeprefix("sha1=")],
    )


def delivery_id(hook: Hook) -> str:
    """The job's number, the same over its tries, and the body's digest: a later try may rightly tell of a newer state."""
    job = hook.header("x-zammad-delivery")
    return f"{job[:150]}:{sha256(hook.raw).hexdigest()[:16]}" if job else ""


ADAPTER = Adapter(kind="zammad", title="Zammad", read=read, verify=verify, delivery_id=delivery_id, story=story)
