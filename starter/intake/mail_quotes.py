"""What of an e-mail's text is its sender's own, and what they quote or forward, in the languages that mail programs speak."""

import re

_LANGUAGES = {
    # who wrote; From; Sent; an original message; a forwarded one
    "en": ("wrote", "from", "sent|date", "original message", "forwarded message|begin forwarded message"),
    "de": ("schrieb", "von", "gesendet|datum", "ursprüngliche nachricht|originalnachricht",
           "weitergeleitete nachricht|anfang der weitergeleiteten nachricht|anfang der weitergeleiteten e-mail"),
    "fr": ("a écrit", "de", "envoyé|date", "message d'origine|message original",
           "message transféré|début du message transféré|début du message réexpédié"),
    "es": ("escribió|ha escrito|escribe", "de", "enviado|enviado el|fecha", "mensaje original",
           "mensaje reenviado|inicio del mensaje reenviado"),
    "it": ("ha scritto|scrive", "da", "inviato|data", "messaggio originale", "messaggio inoltrato|inizio messaggio inoltrato"),
    "nl": ("schreef|geschreven", "van", "verzonden|datum", "oorspronkelijk bericht|origineel bericht",
           "doorgestuurd bericht|begin doorgestuurd bericht"),
    "pt": ("escreveu|escreve", "de", "enviado|enviada|enviado em|enviada em|data", "mensagem original",
           "mensagem encaminhada|mensagem reencaminhada|início da mensagem encaminhada|início da mensagem reencaminhada"),
    "pl": ("napisał(a)|napisał|napisała|pisze", "od", "wysłano|data|data wysłania", "oryginalna wiadomość|wiadomość oryginalna",
           "treść przekazanej wiadomości|przekazana wiadomość|początek przekazywanej wiadomości"),
    "ru": ("написал(а)|написал|написала|писал(а)|пишет", "от|от кого", "отправлено|дата", "исходное сообщение",
           "пересылаемое сообщение|перенаправленное сообщение|начало переадресованного сообщения"),
    "sv": ("skrev|skriver", "från", "skickat|datum", "ursprungligt meddelande|originalmeddelande",
           "vidarebefordrat meddelande|vidarebefordrat brev|vidarebefordrat mejl"),
    "da": ("skrev|skriver", "fra", "sendt|dato", "oprindelig meddelelse",
           "videresendt meddelelse|videresendt besked|start på videresendt besked"),
    "no": ("skrev|skriver", "fra", "sendt|dato", "opprinnelig melding|original melding", "videresendt melding"),
    "fi": ("kirjoitti", "lähettäjä", "lähetetty|päivämäärä|pvm", "alkuperäinen viesti",
           "välitetty viesti|edelleenlähetetty viesti|välitetty viesti alkaa"),
}  # fmt: skip


def _column(i: int) -> tuple[str, ...]:
    return tuple({one: None for row in _LANGUAGES.values() for one in row[i].split("|")})


_WROTE, _FROM, _SENT, _ORIGINAL, _FORWARDED = (_column(i) for i in range(5))
_VERBS = frozenset(one.split()[-1] for one in _WROTE)
_SUBJECT = re.compile(
    r"\s*(?:\[[^\]]{0,60}\]\s*)*(?:fwd?|wg|tr|rv|enc|i|vs|vb|vl|pd|doorst|videresend|пересл)\s*:", re.IGNORECASE
)
"""FW of the English, WG of the Germans, and so on. (VS is also a Finnish answer: that is then kept whole.)"""
_BEGINS = re.compile(
    r"\s*(?:(?:on|am|le|el|il|op|em|den|w dniu|dnia)\s|[^\W\d_]{2,12}[.,]{1,2}\s?\d|\d{1,2}\.?\s[^\W\d_]{3}.{0,40}\d:\d\d)",
    re.IGNORECASE,
)
"""How the line begins that tells when somebody wrote: by its preposition, an abbreviated weekday, or the day."""
_CLOCK = re.compile(r"\d[:.]\d\d")
_RULE = re.compile(r"\s*_{20,}\s*")
_ADDRESS = re.compile(r"[^@\s<>()\[\]\\,;:\"*]{1,64}@[^@\s<>()\[\]\\,;:\"*]{1,255}")
MOST_LINE = 300
"""Characters of a line by which somebody is quoted; a longer one is none."""
NEAR = 6
"""So many lines below its mark, or above its date, a forwarded mail names its sender."""


def forwards(subject: str) -> bool:
    """Whether it is the subject of a mail that somebody sends on."""
    return bool(_SUBJECT.match(subject))


def forwarded(said: str) -> list[str]:
    """The senders of the mails that are sent on with a text, the latest mail's first, as far as addresses are told."""
    lines, found, mark = said.splitlines(), list[str](), -NEAR - 1
    for i, one in enumerate(lines):
        mark = i if _sends_on(one) or _is_original(one) else mark
        label, rest = _labelled(one)
        if label in _FROM and (i - mark <= NEAR or _dated(lines[i + 1 : i + NEAR])):
            found += [address.lower() for address in _ADDRESS.findall(rest)[:1]]
    return found


def own(said: str) -> str:
    """A reply without the mail that it answers, where that stands at its end; whole where nothing would be left.

    From a line on by which another mail is sent on, all of it is what the sender wants to tell, and nothing is taken away.
    """
    lines = said.splitlines()
    quoted = len(lines)
    while quoted and (not lines[quoted - 1].strip() or lines[quoted - 1].lstrip().startswith(">")):
        quoted -= 1
    cut = len(lines)
    for i in range(len(lines)):
        if _sends_on(lines[i]):
            return said
        if _quotes_from(lines, i, quoted):
            cut = i
            break
    kept = lines[:cut]
    while kept and (not kept[-1].strip() or kept[-1].startswith(">")):
        kept.pop()
    return "\n".join(kept).strip() or said


def _quotes_from(lines: list[str], i: int, quoted: int) -> bool:
    """Whether the quoted mail begins with this line: nothing of the sender's own follows. From `quoted` on all is marked so."""
    if _RULE.fullmatch(lines[i]) or _is_original(lines[i]):
        return True
    label, rest = _labelled(lines[i])
    if label in _FROM and "@" in rest and _dated(lines[i + 1 : i + 4]):
        return True
    if not quoted - 2 <= i < len(lines) - 1:
        return False
    if _attributes(lines[i]):
        return quoted <= i + 1
    # "On Monday, Dana wrote:" is broken into two lines by some.
    broken = _BEGINS.match(lines[i]) and not _BEGINS.match(lines[i + 1]) and len(lines[i]) <= MOST_LINE
    return bool(broken) and i + 2 < len(lines) and _attributes(f"{lines[i]} {lines[i + 1][: MOST_LINE + 1]}")


def _attributes(line: str) -> bool:
    """Whether it says who wrote what follows: it ends in a colon, behind the verb, or tells a time and an address or the verb."""
    said = line.strip()
    if not said.endswith(":") or len(said) > MOST_LINE:
        return False
    said = said.lower().rstrip(": \xa0\u202f")
    timed = _CLOCK.search(said) is not None
    return said.endswith(_WROTE) or (timed and ("@" in said or not _VERBS.isdisjoint(said.split())))


def _is_original(line: str) -> bool:
    bare = line.strip()
    return bare.startswith("--") and len(bare) <= MOST_LINE and _bare(bare) in _ORIGINAL


def _sends_on(line: str) -> bool:
    """Whether a mail that is sent on begins with this line."""
    bare = line.strip("> \t\xa0*")
    if len(bare) > MOST_LINE or not (bare.startswith("--") or bare.endswith(":")):
        return False
    return _bare(bare) in _FORWARDED or (bare.startswith("--") and _bare(bare).startswith("forwarded by "))


def _bare(line: str) -> str:
    return line.strip("->:*_ \t\xa0").replace("’", "'").lower()


def _dated(lines: list[str]) -> bool:
    return any(_labelled(one)[0] in _SENT for one in lines)


def _labelled(line: str) -> tuple[str, str]:
    """`*From:* Dana <dana@…>` as `from` and the rest; an empty label where there is none."""
    label, colon, rest = line[:MOST_LINE].partition(":")
    return (label.strip(">*_|# \t\xa0").lower() if colon else "", rest)
