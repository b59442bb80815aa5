"""Who a request is from: the one connected source whose secret it proves to hold."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from activities.policies import Policies
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.bound import UNKNOWN
from starter.hook_bodies import Refused
from starter.hook_settings import IntakeSettings, SourceSecrets
from starter.port import NotKept
from starter.sources import KINDS, adapter

_log = logging.getLogger(__name__)


@dataclass
class Senders:
    """Needs the secrets, and the files of the sources."""

    settings: IntakeSettings
    policies: Policies
    only: Mapping[str, Source] | None = None
    """The sources, where they are not those of the policy files."""

    def sources(self) -> Mapping[str, Source]:
        """The connected sources. A file that is broken keeps no other source from being heard."""
        return self.policies.shelf.usable_sources()[0] if self.only is None else self.only

    def _broken(self, kind: str, place: str, hook: Hook) -> None:
        """Have a source that is known by its secret alone, for its file can't be read, come again.

        Raises:
            NotKept: it is such a one.
        """
        broken = {} if self.only is not None else self.policies.shelf.usable_sources()[1]
        for name, error in broken.items():
            token = Hook({"x-pactkeeper-token": place}, b"", hook.received)
            how, asked = adapter(kind), token if adapter(kind).secret_in_path else hook
            if how.secret_in_path or name == place:
                with contextlib.suppress(BadSignature):
                    how.verify(asked, self._secrets(name).secrets)
                    raise NotKept(f"the file of the source {name} can't be used: {error.sentences[0]}")

    def authentic(self, kind: str, place: str, hook: Hook) -> Source:
        """The source that the request is from.

        Raises:
            Refused: 401, in the same words whatever is wrong.
        """
        source = None
        try:
            if kind not in KINDS:
                raise BadSignature("there is no such kind of source")
            self._broken(kind, place, hook)
            if adapter(kind).secret_in_path:
                found = [one for one in self.sources().values() if one.kind == kind and self._opens(one, place)]
                if not found:
                    raise BadSignature("the address holds no secret of a source")
                source = found[0]
            else:
                source = self.sources().get(place)
                secrets = self._secrets(place).secrets
                if source is None or source.kind != kind or not secrets:
                    # The same work as for a source that is there, so that the time tells nothing.
                    adapter(kind).verify(hook, ["there is no such source"])
                    raise BadSignature("there is no such source, or it has no secret")
                adapter(kind).verify(hook, secrets)
        except BadSignature as error:
            _log.warning("a delivery of %s is not taken: %s", self.called(kind, place), error)
            raise Refused(401, "the delivery is not signed with a secret of this hook; see docs/intake.md") from None
        return source

    def _opens(self, source: Source, place: str) -> bool:
        """Whether the last part of the address is a secret of that source; every one is compared."""
        hook = Hook({"x-pactkeeper-token": place}, b"", self.settings.now())
        try:
            adapter(source.kind).verify(hook, self._secrets(source.name).secrets)
        except BadSignature:
            return False
        return True

    def called(self, kind: str, place: str) -> str:
        """How a hook is called before anybody is known to be who they say: by names of ours alone.

        What else stands in an address may be a secret that was put into a wrong one, and may be made up without end.
        """
        if kind not in KINDS:
            return UNKNOWN
        if adapter(kind).secret_in_path:
            return kind
        return f"{kind}/{place if place in self.settings.sources else UNKNOWN}"

    def _secrets(self, name: str) -> SourceSecrets:
        return self.settings.sources.get(name) or SourceSecrets()
