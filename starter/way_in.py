"""The way in of a source, tried: a signed sample goes where its deliveries go, and what would be made of it is shown."""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from records.shelf import PolicyFileError
from sla.intake import Adapter, Unusable
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.asking_web import Silent, ask
from starter.commands.customers_here import prepared
from starter.commands.terminal import moment
from starter.findings import Finding
from starter.home import Home
from starter.hook_settings import EVERY, SourceSecrets
from starter.kept import recorded
from starter.samples import Sample, sample
from starter.source_hooks import TEST
from starter.sources import adapter

SHOWN = ("by", "to", "priority", "product", "channel", "subject", "public", "status")


async def way_in(home: Home, told: Source, kept: SourceSecrets, web: str) -> list[Finding]:
    """A signed sample, first to the adapter itself, then to our own web intake as the source would send it."""
    line, how = partial(Finding, told.name, "way in"), adapter(told.kind)
    for secret in kept.secrets:
        made = sample(told, secret, datetime.now(UTC))
        try:
            how.verify(Hook(made.headers, made.raw, datetime.now(UTC)), [secret])
        except BadSignature as error:
            do = f"`pactkeeper connect rotate {told.name}` adds another secret"
            return [line("failure", f"what we sign ourselves is not taken ({error})", do)]
    secret = kept.secrets[0]
    made = sample(told, secret, datetime.now(UTC))
    place, shown = (secret, "…") if how.secret_in_path else (told.name, told.name)
    send = partial(ask, "POST", f"{web}/hooks/{told.kind}/{place}", made.raw, {**made.headers, TEST: "1"})
    try:
        reply = await send()
        if reply.status == 401:  # A secret that was put in this very moment is known there a moment later.
            await asyncio.sleep(EVERY)
            reply = await send()
    except Silent as silence:
        do = "start it with `pactkeeper up` or `pactkeeper web`, or say where it is: --web URL"
        fields = tuple(_fields(_alone(how, told, made)))
        return [line("failure", f"our web intake at {web} {silence}", do, fields)]
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    answer = answer if isinstance(answer, dict) else {}
    where = f"/hooks/{told.kind}/{shown}"
    if reply.status != 200 or answer.get("test") is not True:
        return [_refused(line, reply.status, answer, where)]
    tickets: list[dict[str, Any]] = answer.get("told") or []
    if not tickets:
        do = "look at `channels`, `customers` and `ours` in its file: what they leave out is not taken in"
        return [line("warning", f"a signed sample came through {where}, and is ignored: {answer.get('ignored')}", do)]
    says = f"a signed sample came through {where} in {reply.seconds * 1000:.0f} ms, and nobody was told of it"
    fields = tuple(_fields(tickets))
    if not any(one.get("words") for one in tickets):
        alone = [
            {**one, "customer": one["customer"] or tickets[0].get("customer")}
            for one in _alone(how, told.model_copy(update={"url": None}), made)
        ]
        fields += tuple(_fields([{**one, "read by API": False, "ticket": None} for one in alone]))
        tickets = alone
    return [line("ok", says, fields=fields), *await _strange(home, told, tickets)]


def _refused(line: "partial[Finding]", status: int, answer: Mapping[str, Any], where: str) -> Finding:
    if status in (401, 404):
        do = "is it this installation's, with the same policies and secrets? Its log says which file it can't read, if any"
        return line("failure", f"our own signed sample is refused at {where} ({status})", do)
    if status == 200:
        return line("failure", f"what answers at {where} does not know samples", "is it Pactkeeper, of this version?")
    said = f": {answer['error']}" if isinstance(answer.get("error"), str) else ""
    return line("failure", f"{where} answered {status}{said}", "see the log of the web intake")


def _alone(how: Adapter, told: Source, made: Sample) -> list[dict[str, Any]]:
    """What the adapter itself makes of a sample, as the web intake would answer."""
    try:
        read = how.read(made.raw if how.body == "mail" else json.loads(made.raw), told, datetime.now(UTC))
    except (Unusable, ValueError):
        return []
    return [
        {
            "ticket": one.ticket, "incident": one.incident, "customer": one.customer or told.customer, "read by API": one.look,
            "words": [
                {**word.event.model_dump(exclude_defaults=True), "event": word.event.event, "at": word.occurred_at.isoformat()}
                for word in one.words
            ],
        }
        for one in read.told
    ]  # fmt: skip


def _fields(told: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """What a delivery comes to, for people."""
    for one in told:
        if one.get("incident"):
            yield "incident", str(one["incident"])
        elif one.get("ticket"):
            yield "ticket", str(one["ticket"])
            customer = one.get("customer")
            yield "customer", str(customer) if customer not in (None, "unknown") else "nobody's: into the triage queue"
        if one.get("read by API"):
            yield "further", "the ticket is read over its API; without that it would be:"
        for word in one.get("words") or []:
            yield str(word.get("event")), ", ".join([moment(word.get("at")), *_said(word)])


def _said(word: Mapping[str, Any]) -> Iterator[str]:
    if word.get("event") == "doubted":
        yield str(word.get("what"))
    for name in SHOWN:
        if (value := word.get(name)) is not None and not isinstance(value, dict | list):
            yield f"{name} {value}"


async def _strange(home: Home, told: Source, tickets: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The priorities that the customer's contract does not know: each would count as its most urgent."""
    if not prepared(home):
        return []
    found = []
    async with recorded(home) as kept:
        if not await kept.policies.readable():
            return []
        for one in tickets:
            words = one.get("words") or []
            named = {
                word.get("priority") or word.get("to")
                for word in words
                if word.get("event") in ("opened", "priority_changed")
            }
            customer = str(one.get("customer"))
            try:
                _, asked = kept.policies.line(customer, None, None)
                contract = kept.policies.contract(customer, asked)
            except PolicyFileError:
                continue
            for priority in sorted(str(name) for name in named - {None} if name not in contract.priorities):
                says = f"{priority} is no priority of {contract.name} ({', '.join(contract.priorities)}); it counts as the most urgent"
                do = f"map it in its file, such as `priorities: {{{priority}: {list(contract.priorities)[-1]}}}`"
                found.append(Finding(told.name, "priorities", "warning", says, do))
    return found
