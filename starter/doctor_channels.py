"""Whether notices can leave: each channel's settings, and its credentials where they can be tried without telling anybody."""

import asyncio
import os

from activities.message import ChannelRefused, ChannelUnavailable
from activities.settings import MAIL_FROM, SMTP_URL, CourierSettings, origin
from activities.slack_api import SLACK_TOKEN, SlackSettings, call
from activities.smtp import Conversation
from starter.findings import INSTALLATION, Finding, State
from starter.home import Home
from starter.kept import setting


async def channels(home: Home) -> list[Finding]:
    """Every channel that is set up. The log needs nothing."""
    with setting():
        settings = CourierSettings.from_env(os.environ)
    found = [await _mail(settings)] if settings.smtp and settings.mail_from else []
    if settings.slack is not None:
        found.append(await _slack(settings.slack))
    if settings.pagerduty is not None and settings.pagerduty.routing_key:
        says = f"{origin(settings.pagerduty.url)} is set up; no call would try its key without paging somebody"
        found.append(_line("PagerDuty", "ok", says))
    if settings.webhook_url:
        found.append(
            _line(
                "webhook",
                "ok",
                f"{origin(settings.webhook_url)} is set up; it is not called, for it would tell somebody",
            )
        )
    if settings.apprise is not None and settings.apprise.secrets:
        says = f"{', '.join(sorted(settings.apprise.secrets))} may stand in addresses; no service is asked, for it would tell somebody"
        found.append(_line("Apprise", "ok", says))
    if not found:
        do = f"docs/channels.md says how; e-mail, for one, by {SMTP_URL} and {MAIL_FROM}"
        found.append(_line("channels", "warning", "none is set up, so that notices go into the log alone", do))
    return found


async def _slack(settings: SlackSettings) -> Finding:
    try:
        told = await call(settings, "auth.test", {})
    except (ChannelUnavailable, ChannelRefused) as error:
        return _line("Slack", "failure", str(error), f"check {SLACK_TOKEN}")
    return _line("Slack", "ok", f"{told.get('team')} knows us as {told.get('user')}; nothing was posted")


async def _mail(settings: CourierSettings) -> Finding:
    assert settings.smtp is not None
    assert settings.mail_from is not None
    server, seconds = settings.smtp, settings.total_seconds
    talk = Conversation(server, settings.mail_from, {}, b"", settings.connect_seconds, seconds)
    try:
        await asyncio.wait_for(asyncio.to_thread(talk.log_in), seconds + 1)
    except (ChannelUnavailable, ChannelRefused) as error:
        return _line("e-mail", "failure", str(error), f"check {SMTP_URL}")
    except TimeoutError:
        talk.call_off()
        return _line("e-mail", "failure", f"the mail server {server.place} did not answer in time", f"check {SMTP_URL}")
    as_whom = f" lets us in as {server.user}" if server.user else " answers"
    return _line("e-mail", "ok", f"{server.place}{as_whom}; nothing was sent")


def _line(what: str, state: State, says: str, do: str = "") -> Finding:
    return Finding(INSTALLATION, what, state, says, do)
