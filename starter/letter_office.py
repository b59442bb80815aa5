"""Dead letters, seen to: brought again to where they belong, with what is known by now, or put away with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from activities.calls import Look
from records.dead_letters import DeadLetterStore, Letter
from records.spool import LETTERS
from sla.intake import Unusable
from starter.hook_bodies import Refused
from starter.intake.generic import Unreadable
from starter.port import Customers, Dispatch
from starter.spooler import bring, held
from starter.web_billing import replayed

MAX_WHY: Final = 500
LIST = "`pactkeeper letters --all` lists them"


class NotSeenTo(Exception):
    """The letter stays as it is: one sentence that says why, and what to do."""


class Helpdesks(Protocol):
    """The hooks of the connected helpdesks."""

    async def replay(self, letter: Letter) -> str:
        """Take it again; half a sentence on what became of it. Raises Refused, Unusable, Unavailable, NotKept."""


async def waiting(letters: DeadLetterStore, id: str) -> Letter:
    """A letter that waits.

    Raises:
        NotSeenTo: there is none, or it was seen to.
    """
    letter = await letters.get(id)
    if letter is None:
        raise NotSeenTo(f"there is no dead letter {id!r}; {LIST}")
    if letter.handled_at is not None:
        raise NotSeenTo(f"{id} was seen to on {letter.handled_at:%Y-%m-%d %H:%M} UTC: {letter.handled_how}")
    return letter


async def drop(letters: DeadLetterStore, id: str, why: str, at: datetime) -> str:
    """Put a letter away; what is noted of it.

    Raises:
        NotSeenTo: there is none that waits.
    """
    how = f"dropped: {why.strip()[:MAX_WHY]}"
    if not await letters.handle((await waiting(letters, id)).id, at, how):
        await waiting(letters, id)
    return how


@dataclass(frozen=True)
class LetterOffice:
    """Needs where letters are kept, who is linked to what, the door to Temporal, and the helpdesks' hooks."""

    letters: DeadLetterStore
    customers: Customers
    dispatch: Dispatch
    helpdesks: Helpdesks
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def replay(self, id: str) -> str:
        """Bring a letter again, as of when it came; half a sentence on what became of it.

        Raises:
            NotSeenTo: there is none that waits, or it still can't be brought.
            Unavailable, NotKept: Temporal, or the records, do not answer.
        """
        letter = await waiting(self.letters, id)
        kind = letter.source.partition("/")[0]
        if kind == "stripe":
            told = await self._looks(letter)
        elif kind == "billing":
            told = await self._paid(letter)
        elif kind == LETTERS:
            told = await self._words(letter)
        else:
            told = await self._helpdesk(letter)
        how = f"replayed: {told}"
        await self.letters.handle(id, self.now(), how)
        return how

    async def _looks(self, letter: Letter) -> str:
        account = letter.source.partition("/")[2]
        if not letter.subject:
            raise NotSeenTo(f"{letter.id} names no customer ({letter.why}); look at it, and drop it")
        found = await self.customers.linked("stripe", account, letter.subject)
        if not found:
            link = f"`pactkeeper customer link CUSTOMER --customer {letter.subject}`"
            raise NotSeenTo(
                f"no customer is linked to {letter.subject} of the Stripe account {account} yet; {link} does it"
            )
        ids = list(dict.fromkeys(customer.id for customer, _ in found))
        for id in ids:
            await self.dispatch.look(id, Look(source=letter.source, why=f"replay of {letter.id}"))
        return f"{', '.join(ids)} {'looks' if len(ids) == 1 else 'look'} again"

    async def _paid(self, letter: Letter) -> str:
        try:
            word = replayed(letter)
        except (Refused, Unreadable) as error:
            raise NotSeenTo(f"{letter.id} can't be read: {error.sentence}") from None
        customer = await self.customers.get(letter.subject)
        if customer is None:
            raise NotSeenTo(f"there is no customer {letter.subject!r} yet; `pactkeeper customer set` makes one")
        lines = [line.id for line in customer.contract_lines]
        if word.event.line is not None and word.event.line not in lines:
            raise NotSeenTo(
                f"{customer.id} has no contract line {word.event.line!r} yet; there are: {', '.join(lines)}"
            )
        await self.dispatch.account(customer.id, word)
        return f"{customer.id} was told {word.event.event}"

    async def _words(self, letter: Letter) -> str:
        try:
            found = held(letter)
        except (ValueError, KeyError, TypeError):
            raise NotSeenTo(f"{letter.id} holds no words that can be read; look at it, and drop it") from None
        took = await bring(self.dispatch, found)
        return f"{took} has it" if took else "its incident does not run any more"

    async def _helpdesk(self, letter: Letter) -> str:
        try:
            return await self.helpdesks.replay(letter)
        except (Refused, Unusable) as error:
            raise NotSeenTo(f"{letter.id} still can't be taken: {error.sentence}") from None
