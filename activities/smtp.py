"""One conversation with a mail server under one time limit; its answers become our two errors."""

import contextlib
import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from threading import Event

from activities.message import ChannelRefused, ChannelUnavailable
from activities.settings import SmtpServer

_ENHANCED = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}\b")
Reply = tuple[int, bytes]


class Conversation:
    """Hands one mail over. `to` gives the address of each recipient's id; the times are seconds."""

    def __init__(
        self, server: SmtpServer, sender: str, to: dict[str, str], mail: bytes, connect: float, total: float
    ) -> None:
        self._server, self._sender, self._to, self._mail = server, sender, to, mail
        self._connect_seconds, self._total = connect, total
        self._ends = time.monotonic() + total
        self._called_off = Event()
        self._where = f"the mail server {server.place}"

    def call_off(self) -> None:
        """From now on no mail is handed over; one that was handed over stays so."""
        self._called_off.set()

    def hold(self) -> list[str]:
        """Hand the mail over; gives the ids that the server refused while it took the mail for others. Blocks.

        Raises:
            ChannelUnavailable: the network, the time, the certificate, or a 4xx answer.
            ChannelRefused: a 5xx answer, or a server that lacks what the settings ask for.
        """
        with self._in_our_words(), self._connected() as smtp:
            self._greet(smtp)
            return self._hand_over(smtp)

    def log_in(self) -> None:
        """Connect and log in as for a mail, and hand nothing over. Blocks.

        Raises:
            ChannelUnavailable, ChannelRefused: as `hold`.
        """
        with self._in_our_words(), self._connected() as smtp:
            self._greet(smtp)

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except smtplib.SMTPAuthenticationError as error:
            raise self._answered((error.smtp_code, b""), " to the user name and password") from None
        except smtplib.SMTPResponseException as error:
            raise self._answered((error.smtp_code, _bytes(error.smtp_error))) from None
        except smtplib.SMTPServerDisconnected:
            raise self._silent() from None
        except smtplib.SMTPException:
            raise ChannelRefused(
                f"{self._where} offers no log-in that fits; look at its user name and password"
            ) from None
        except ssl.SSLCertVerificationError:
            raise ChannelUnavailable(f"{self._where} has a certificate that is not trusted") from None
        except (OSError, UnicodeError):
            raise self._silent() from None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, port, name = self._server.host, self._server.port, self._sender.rpartition("@")[2]
        left = self._ends - time.monotonic()
        if left <= 0 or self._called_off.is_set():
            raise TimeoutError
        seconds = min(self._connect_seconds, left)
        smtp: smtplib.SMTP
        if self._server.tls:
            smtp = smtplib.SMTP_SSL(host, port, name, timeout=seconds, context=ssl.create_default_context())
        else:
            smtp = smtplib.SMTP(host, port, name, timeout=seconds)
        try:
            yield smtp
        finally:
            with contextlib.suppress(OSError):
                self._limit(smtp)
                smtp.quit()
            smtp.close()

    def _greet(self, smtp: smtplib.SMTP) -> None:
        self._limit(smtp)
        smtp.ehlo_or_helo_if_needed()
        if self._server.starttls:
            if not smtp.has_extn("starttls"):
                raise ChannelRefused(f"{self._where} offers no STARTTLS, and without it nothing is sent")
            self._limit(smtp)
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if self._server.user is not None:
            self._limit(smtp)
            smtp.login(self._server.user, self._server.password or "")

    def _hand_over(self, smtp: smtplib.SMTP) -> list[str]:
        self._limit(smtp)
        self._want(smtp.mail(self._sender), " to our address")
        refused: dict[str, Reply] = {}
        for person, address in self._to.items():
            self._limit(smtp)
            reply = smtp.rcpt(address)
            if reply[0] >= 500:
                refused[person] = reply
            else:
                self._want(reply, f" for {person}")
        if len(refused) == len(self._to):
            person, reply = next(iter(refused.items()))
            raise self._answered(reply, f" for {person}")
        self._limit(smtp)
        self._want(smtp.data(self._mail))
        return list(refused)

    def _limit(self, smtp: smtplib.SMTP) -> None:
        left = self._ends - time.monotonic()
        if left <= 0 or self._called_off.is_set():
            raise TimeoutError
        if smtp.sock is not None:
            smtp.sock.settimeout(left)

    def _silent(self) -> ChannelUnavailable:
        late = time.monotonic() >= self._ends
        return ChannelUnavailable(
            f"{self._where} {f'did not answer within {self._total:g} s' if late else 'cannot be reached, or broke off'}"
        )

    def _want(self, reply: Reply, about: str = "") -> None:
        if not 200 <= reply[0] < 300:
            raise self._answered(reply, about)

    def _answered(self, reply: Reply, about: str = "") -> ChannelUnavailable | ChannelRefused:
        code, text = reply
        enhanced = _ENHANCED.match(text)
        said = f"{self._where} answered {code}{' ' + enhanced[0].decode() if enhanced else ''}{about}"
        return ChannelRefused(said) if 500 <= code < 600 else ChannelUnavailable(said)


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode("ascii", "replace")
