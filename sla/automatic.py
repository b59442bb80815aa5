"""What an absent person's mail system answers, known by its words: for where a source hands over no header and no flag that tells it.

Only whole known phrases count, never a mere beginning: a customer who writes of automatic answers, or who is away and tells all
the same what is wrong, is heard. What is not known counts as a person's.
"""

import re
from typing import Final

MOST: Final = 400
"""Characters that are looked at."""
MOST_LINES: Final = 4
"""So many lines may greet and thank before one tells the absence."""

LABELS: Final = frozenset({
    "automatic reply", "automatic response", "automated reply", "automated response", "auto reply", "autoreply", "auto response",
    "out of office", "out of the office", "out of office reply", "out of office autoreply", "out of office auto reply",
    "automatische antwort", "automatische rückantwort", "abwesenheitsnotiz", "abwesenheitsnachricht", "abwesenheitsmeldung",
    "abwesenheitsbenachrichtigung", "autoantwort", "auto antwort", "réponse automatique", "absence du bureau", "message d'absence",
    "respuesta automática", "fuera de la oficina", "fuera de oficina", "risposta automatica", "fuori sede", "automatisch antwoord",
    "resposta automática", "autosvar", "automatiskt svar", "automatisk svar",
})  # fmt: skip
"""What mail systems put before the subject that they answer, or alone above their text."""
ABSENCES: Final = (
    "out of the office", "out of my office", "out of office", "away from the office", "away from my desk", "away from my email", "away",
    "on vacation", "on holiday", "on annual leave", "on parental leave", "on maternity leave", "on sick leave", "on leave",
    "on a business trip", "nicht im büro", "nicht im hause", "nicht im haus", "außer haus", "im urlaub", "in elternzeit", "abwesend",
    "nicht erreichbar", "absente du bureau", "absent du bureau", "hors du bureau", "absente", "absent", "en congés", "en congé",
    "en vacances", "fuera de la oficina", "fuera de oficina", "de vacaciones", "ausente",
)  # fmt: skip
_WORDS: Final = """
    a all also an and any at be by currently day days due during e email emails from have i i'll i'm am in inclusive including limited
    mail mails me month moment my next no of on or presently return returning returns shall short then the this through till time to
    today tomorrow until up very week weeks will with without access back again year afternoon evening morning
    monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun january february march april may june july
    august september october november december jan feb mar apr jun jul aug sep sept oct nov dec st nd rd th pm
    ab auf aktuell bin bis büro bitte das dem den der derzeit des die einen eingeschränkt eingeschränkten einschließlich
    einschliesslich erreichbar habe heute ich im ist kein keine keinen leider meine meinen momentan morgen nur sowie uhr um und
    voraussichtlich vom von wieder werde sein zum zugriff zur zurück zurzeit zwischen
    montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli oktober dezember woche
    actuellement au aux avec bureau ce cette de dès du et inclus jusqu'au jusqu'à je j'ai la le les lundi mardi mercredi jeudi vendredi
    samedi dimanche ma mes mon n'ai pas messagerie retour sera serai suis un une accès limité
    janvier février mars avril juin juillet août septembre octobre novembre décembre semaine
    acceso actualmente al con correo del desde día el en encuentro es estaré este esta estoy hasta hoy lunes los martes mi miércoles
    jueves viernes sábado domingo momento regreso semana sin tengo volveré vuelta y enero febrero marzo abril mayo junio julio agosto
    septiembre octubre noviembre diciembre limitado
"""
WORDS: Final = frozenset(_WORDS.split())
"""Of what else the sentence of an absence is made: from when to when, and who."""
ONESELF: Final = frozenset({"i", "i'm", "ich", "bin", "je", "j'ai", "estoy", "estaré", "encuentro"})
"""By one of these somebody says it of themselves: `nicht erreichbar` alone is what a customer says of a server."""
BESIDES: Final = (
    "thank you for your", "thanks for your", "many thanks for your", "for urgent matters", "for urgent issues", "for urgent requests",
    "for urgent questions", "for urgent enquiries", "for urgent inquiries", "for urgent assistance", "for anything urgent",
    "for emergencies", "in urgent cases", "in urgent matters", "if urgent", "in case of emergency", "in case of urgen",
    "in an emergency", "in my absence", "during my absence", "during this time", "during this period", "if your message is urgent",
    "if your request is urgent", "if your matter is urgent", "if it is urgent", "if this is urgent", "if you need immediate",
    "please contact", "i will reply", "i will respond", "i will answer", "i will get back", "i will read", "i'll reply", "i'll respond",
    "i'll get back", "your message will", "your mail will", "your email will", "your e mail will", "kind regards", "best regards",
    "regards", "vielen dank für ihre", "danke für ihre", "herzlichen dank für ihre", "vielen dank für deine", "in dringenden fällen",
    "bei dringenden", "für dringende", "in eiligen fällen", "bitte wenden sie sich", "bitte kontaktieren sie", "ich melde mich",
    "ich werde ihre", "ihre nachricht wird", "ihre e mail wird", "ihre mail wird", "mit freundlichen grüßen", "viele grüße",
    "merci pour votre", "merci de votre", "en cas d'urgence", "pour toute urgence", "pour toute demande urgente", "veuillez contacter",
    "merci de contacter", "je vous répondrai", "je répondrai", "je prendrai connaissance", "votre message sera", "cordialement",
    "gracias por su", "gracias por tu", "muchas gracias por", "en caso de urgencia", "en caso de emergencia", "para asuntos urgentes",
    "para temas urgentes", "si es urgente", "por favor contacte", "responderé", "le responderé", "contestaré", "su mensaje será",
    "saludos",
)  # fmt: skip
"""How the sentences begin that stand before and after it."""
GREETINGS: Final = (
    "kind regards", "best regards", "regards", "mit freundlichen grüßen", "viele grüße", "cordialement", "saludos",
)  # fmt: skip
"""How the greeting at its end begins; below it stands who wrote."""
NAME: Final = 4
"""Words of a name that stands at the end without a greeting."""
_GREETING: Final = re.compile(
    r"(?:hi|hello|dear|good (?:morning|day|afternoon)|hallo|guten (?:tag|morgen)|liebe[rs]?|sehr geehrte[rs]?|bonjour|ch(?:er|ère)s?"
    r"|madame|hola|buen(?:os|as) (?:días|tardes)|estimad[oa]s?)\b[^,.!:;]{0,60}(?:[,.!:;]|$)",
    re.IGNORECASE,
)
_THIS: Final = re.compile(r"(?:this is an?|dies ist eine|das ist eine|ceci est une|esta es una) ")
_ENDS: Final = re.compile(r"(?<=[.!?…])\s+(?![a-zà-ÿ]|(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez))")
"""Where a sentence ends; not behind the number of a day (`14. Juli`, `14.10. nicht`)."""


def automatic_subject(subject: str | None) -> bool:
    """Whether it is the subject of such an answer: one of the labels and a colon, or nothing but a label."""
    head, colon, rest = (subject or "")[:MOST].partition(":")
    # So does Notes: "AUTO: Dana Fox is out of the office (returning 07/14/2031)".
    notes = bool(colon) and _folded(head) == "auto" and any(f" {one} " in f" {_folded(rest)} " for one in ABSENCES[:3])
    return notes or _folded(head) in LABELS


def automatic(text: str | None) -> bool:
    """Whether it is such an answer: under a label, or its first line, after greetings and thanks, tells an absence, and what is
    said below it, up to the greeting at its end, goes with one.
    """
    lines = (line.strip() for line in (text or "")[: 10 * MOST].split("\n"))
    whole = "\n".join(line for line in lines if line)
    begins = whole[:MOST]
    if len(whole) > MOST:  # a sentence that is cut off tells nothing
        begins = begins[: max(begins.rfind("\n"), begins.rfind(". ") + 1, 0)] or begins
    looked_at, away = begins.split("\n"), False
    for number, line in enumerate(looked_at):
        said = _GREETING.sub("", line, count=1).strip() if _GREETING.match(line) else line
        label, told = _label(said)
        folded = _folded(told)
        if away and (folded.startswith(GREETINGS) or any(f" {one} " in f" {folded} " for one in LABELS)):
            return True
        kinds = {_tells(one, label) for one in _ENDS.split(told)}
        if None in kinds:
            return away and number == len(looked_at) - 1 and len(told.split()) <= NAME
        if label:
            return True
        away = away or True in kinds
        if not away and number == MOST_LINES - 1:
            return False
    return away


def _label(line: str) -> tuple[bool, str]:
    """Whether a line begins with a label and a colon, or with one in brackets; and what follows, else the line."""
    head, end, rest = line[1:].partition("]") if line.startswith("[") else line.partition(":")
    known = bool(end) and _folded(head) in LABELS
    return known, rest if known else line


def _tells(sentence: str, labelled: bool) -> bool | None:
    """True: it tells an absence; False: it goes with one; None: it tells something else."""
    said = _folded(sentence)
    if said in LABELS or _THIS.sub("", said, count=1) in LABELS:
        return True
    if said.startswith(BESIDES):
        return False
    rest = f" {said} "
    for one in ABSENCES:
        rest = rest.replace(f" {one} ", "  ")
    words = rest.split()
    away = " ".join(words) != said
    known = all(word in WORDS or word[0].isdigit() for word in words)
    return away if known and (labelled or not away or not ONESELF.isdisjoint(words)) else None


def _folded(text: str) -> str:
    """In lower case, with single blanks, and without the marks between words."""
    return " ".join(re.sub(r"[-()\[\]\"“”„«»*,;:!?…]|\.(?=\s|$)", " ", text.replace("’", "'").casefold()).split())
