"""The channel `apprise`: whatever Apprise knows, by one URL a person (Microsoft Teams, Telegram, Pushover, …).

Apprise opens its connections itself, so that what we look at before connecting is not looked at here. Only services whose
hosts are fixed are allowed as they come; the list can be made longer by whoever runs this. Redirects are not followed.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from activities.message import ChannelRefused, ChannelUnavailable, Message, one_line
from activities.settings import secret_of

SECRETS: Final = "PACTKEEPER_APPRISE_"
SCHEMES: Final = "PACTKEEPER_APPRISE_SCHEMES"
FIXED: Final = frozenset(
    {
        "clicksend", "discord", "gchat", "o365", "opsgenie", "pagertree", "pbul", "plivo", "pover", "sendgrid",
        "ses", "signl4", "sns", "tgram", "threema", "twilio", "vonage", "workflows", "wxteams",
    }
)  # fmt: skip
"""Services whose host the sender of a URL cannot choose; of `workflows` (Teams) we look at the host."""
_TEAMS: Final = (".logic.azure.com", ".powerplatform.com")
_NAME = re.compile(r"\$\{([A-Z0-9_]{1,60})\}")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]{1,30})://[^\s,]+")
_MARKUP = re.compile(r"(?<=<)(?=\S)|(?<=\])(?=[(\[:])")
"""Within what begins a tag or a mention (`<a`, `<!channel>`, `<https://…|here>`), and what gives a link other words (`](`)."""
_MENTION = re.compile(r"(?<![\w.+-])@(?=\w)|@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_JOINER: Final = "\u2060"
"""The word joiner: nobody sees it, and no word is broken at it."""
TITLE: Final = 250
BODY: Final = 8000
_THREADS: Final = ThreadPoolExecutor(8, "apprise")
"""Of its own: a service that hangs must keep no name from being resolved, and no line out of the log."""

logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its warnings may show a URL


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """The secrets that addresses may name, and the services that they may use. `seconds`: one attempt's."""

    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """By the name within `${…}`."""
    schemes: frozenset[str] = FIXED
    seconds: float = 20.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """As the environment says; None: the package is not installed (the extra `notices`).

        `${TEAMS}` of an address is `PACTKEEPER_APPRISE_TEAMS` here, or the content of the file that `…_FILE` names; an
        address can name nothing else of the environment.

        Raises:
            ValueError: one sentence.
        """
        if find_spec("apprise") is None:
            return None
        names = {
            name.removesuffix("_FILE") for name in environ if name.startswith(SECRETS) and environ[name].strip()
        } - {SCHEMES}
        more = {part.strip().lower() for part in environ.get(SCHEMES, "").split(",") if part.strip()}
        if odd := sorted(scheme for scheme in more if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme)):
            raise ValueError(f"{SCHEMES} has {odd[0][:40]!r}; write schemes of Apprise, such as ntfys, matrixs")
        secrets = {name.removeprefix(SECRETS): secret_of(environ, name) for name in names}
        return cls(MappingProxyType(secrets), FIXED | more)


def address_fault(address: str, schemes: frozenset[str] = FIXED) -> str | None:
    """What is wrong with an address, as half a sentence; None: nothing that can be seen without its secrets."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return "is no single Apprise URL, such as workflows://${TEAMS}"
    if found[1] not in schemes:
        return f"uses {found[1]}://, which is not allowed; {SCHEMES} can allow it"
    return None


async def send(settings: AppriseSettings, message: Message, address: str) -> str:
    """Send it by one Apprise URL, in a thread and within the time; gives a line for the receipt, without the URL.

    Apprise tells only that a service did not take it, so all that is no fault of the address may go through later.
    Nothing there knows a message's key: one that is sent again after an unclear end comes twice.

    Raises:
        ChannelUnavailable: it was not taken, or not in time.
        ChannelRefused: the address is not usable.
    """
    service = urlsplit(address).scheme or "it"
    whole = filled(settings, address)
    work = asyncio.get_running_loop().run_in_executor(_THREADS, _notified, whole, message)
    work.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    try:
        async with asyncio.timeout(settings.seconds):
            taken = await asyncio.shield(work)
    except TimeoutError:
        raise ChannelUnavailable(f"{service} (Apprise) did not answer within {settings.seconds:g} s") from None
    except ChannelRefused:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises, it must not end the telling of others
        raise ChannelUnavailable(f"{service} (Apprise) failed ({type(error).__name__})") from None
    if not taken:
        raise ChannelUnavailable(f"{service} (Apprise) did not take it")
    return f"taken by {service} (Apprise)"


def filled(settings: AppriseSettings, address: str) -> str:
    """The address with its secrets.

    Raises:
        ChannelRefused: it is not allowed, or names a secret that is not set; the sentence shows no secret.
    """
    if fault := address_fault(address, settings.schemes):
        raise ChannelRefused(f"the Apprise address {fault}")
    missing = [name for name in _NAME.findall(address) if name not in settings.secrets]
    if missing:
        raise ChannelRefused(f"the Apprise address names ${{{missing[0]}}}; set {SECRETS}{missing[0]} (or …_FILE)")
    whole = _NAME.sub(lambda found: settings.secrets[found[1]], address)
    scheme = address.partition("://")[0]
    if not _ADDRESS.fullmatch(whole) or not whole.startswith(f"{scheme}://"):
        raise ChannelRefused("the Apprise address is no single URL once its secrets are in it")
    host = (urlsplit(whole).hostname or "").lower()
    if scheme == "workflows" and not host.endswith(_TEAMS):
        raise ChannelRefused(f"the Apprise address leads to {one_line(host, 80)}, no host of Teams' workflows")
    return whole


def _notified(whole: str, message: Message) -> bool:
    """Whether the service took it. Blocks: the package alone takes a while to load."""
    try:
        import apprise
    except ImportError:
        raise ChannelRefused("apprise is not installed; install pactkeeper's extra `notices`") from None
    # Without a time of its own: it is called in a thread of ours, and its own threads would know no end.
    asset = apprise.AppriseAsset(
        app_id="Pactkeeper", app_desc="Pactkeeper", http_redirects=False, secure_logging=True, service_timeout=0
    )
    made: Any = apprise.Apprise.instantiate(whole, asset=asset, suppress_exceptions=True)
    if made is None:
        raise ChannelRefused(f"Apprise cannot read the {whole.partition('://')[0]}:// address; look at its parts")
    # A URL's own parameters may not undo what we stand for: `optional` would make a failure look like a success.
    made.redirects, made.verify_certificate, made.retry, made.optional = False, True, 0, False
    link = message.links.get("acknowledge")
    body = f"{message.text}\n\nTake it: {link}" if link and link not in message.text else message.text
    # Not by the plugin itself: there some (Telegram) forget that the text is plain, and send it as their own markup.
    service = apprise.Apprise(asset=asset)
    service.add(made)
    title = harmless(one_line(message.subject, TITLE))
    return bool(service.notify(body=harmless(body)[:BODY], title=title, body_format=apprise.NotifyFormat.TEXT))


def harmless(text: str) -> str:
    """The text so that it reads the same and no service makes more of it than text: no tag, no link under other words, no mention.

    A ticket's name is the customer's own. Apprise escapes what is declared as plain text, but not for every service, and no
    title that a service shows apart; and `@everyone` is text that wakes everybody.
    """
    return _MENTION.sub(f"@{_JOINER}", _MARKUP.sub(_JOINER, text))
