"""A notice in a picture: what an incident of the pictured desk wrote to the one who has to act, as a mail program shows it."""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from playwright.async_api import Page

from activities.ack_links import Links
from activities.calls import CarryOut
from activities.mail import compose, mailbox
from activities.message import Message
from activities.policies import Policies
from sla.customer import Customer
from sla.roster import Outcome
from sla.steps import Step
from starter.engines import Silent
from worker.letters import messages


class Post(Silent):
    """A teller that keeps each message as it would go out, and brings it to nobody."""

    def __init__(self, policies: Policies, links: Links) -> None:
        self.policies, self.links, self.kept = policies, links, list[Message]()

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        """Write what the incident's steps say."""
        id = asked.scene.customer or ""
        known = self.policies.customer(id) or Customer(id=id)
        self.kept += messages(asked, chosen, self.policies, known, self._link)

    def _link(self, incident: str, person: str, at: datetime) -> str:
        return self.links.to(incident, person, at, datetime.now(UTC))

    def of(self, ticket: str, kind: str) -> Message:
        """The last message of a kind that a ticket had written."""
        return next(one for one in reversed(self.kept) if one.data["ticket"] == ticket and one.kind == kind)


FRAME: Final = """
<style>
body {{ margin: 0; background: #f0f0ee; font: 14px/1.5 system-ui, sans-serif; color: #1c1c1c; }}
header {{ padding: 18px 24px 14px; background: #fafaf8; border-bottom: 1px solid #d8d8d4; }}
h1 {{ font-size: 19px; margin: 0 0 8px; }} p {{ margin: 0; color: #5c6068; }} b {{ color: #1c1c1c; font-weight: 600; }}
iframe {{ border: 0; width: 100%; padding: 12px 16px; box-sizing: border-box; background: #fff; display: block; }}
</style>
<header><h1>{subject}</h1><p><b>{sender}</b> to <b>{to}</b></p><p>{date}</p></header>
<iframe srcdoc="{page}" onload="this.style.height = this.contentDocument.documentElement.scrollHeight + 28 + 'px'"></iframe>
"""


async def mail(page: Page, message: Message) -> bytes:
    """A message as its reader's mail program shows it, as a PNG."""
    boxes = [mailbox(one.model_copy(update={"address": f"{one.id}@support.example"})) for one in message.to]
    now = datetime.now(UTC)
    made = compose(message, tuple(box for box in boxes if box), "pactkeeper@support.example", now)
    body = made.get_body(("html",))
    assert body is not None
    headers = {"subject": made["Subject"], "sender": made["From"], "to": made["To"], "date": made["Date"]}
    shown = {name: html.escape(str(value)) for name, value in {**headers, "page": body.get_content()}.items()}
    await page.set_viewport_size({"width": 900, "height": 300})
    await page.set_content(FRAME.format(**shown))
    await page.wait_for_timeout(500)
    return await page.screenshot(full_page=True)
