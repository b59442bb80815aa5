"""What the web intake says of itself at `/openapi.json`: every page, each answer that can come with the body it has, and who may ask.

Pages read their requests themselves, so FastAPI knows nothing of their bodies: each page tells it by `page(…)` where its route
is made. There is nothing secret in it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from sla.account_events import ContractTerminated, PaymentCurrent, PaymentLapsed
from sla.customer import Customer
from sla.events import INCIDENT_EVENTS, Event

Schema = dict[str, Any]
JSON, HTML, PLAIN = "application/json", "text/html", "text/plain"
TEXT: Final[Schema] = {"type": "string"}
TOKEN: Final = ("token",)
"""Who may ask: a program with a token."""
WORDS: Final = """\
Hooks take what other systems send; what is answered by 2xx is kept, and anything else is to be sent again or mended, as its
sentence says. The pages under /api are for programs that hold a token.

Every refusal is `{"error": one sentence}`, with the `path` of the field that it speaks of where there is one. An address that
is none of these is 404, another method of one that is 405 with `Allow`; both say so in the same form.
"""

_REFUSED: Final[Mapping[int, str]] = {
    400: "The body is no JSON object (or no form) that we take, its length is told wrongly, or it broke off.",
    401: "No token, or no signature, that is known here.",
    403: "The form is not from our own page.",
    404: "There is no such thing.",
    408: "The body took longer than ten seconds to come.",
    409: "It contradicts what is kept already.",
    413: "The body is too large.",
    415: "The body is compressed; its bytes are to come as they are.",
    422: "A field is unknown, missing, or holds what it may not; `path` says which.",
    503: "Temporal, the worker or the database does not answer just now, or too many send at a time; send the same again.",
}
WITH_BODY: Final = (400, 408, 413, 415)
"""How a body can be refused before it is read."""
_NOT_OURS: Final = ("Successful Response", "Validation Error")
"""How FastAPI describes the answers that it makes up."""
_RETRY: Final[Schema] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_TICKET: Final[Schema] = {
    "description": "Its number or name.",
    "oneOf": [{"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"\S"}, {"type": "integer"}],
}
_MOMENT: Final[Schema] = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "When it happened, at most 400 days ago and 24 hours ahead; left out: now.",
}
_OWN: Final[Schema] = {"type": ["string", "null"], "description": "If it is told, then the customer of the address."}
_WHO: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 120, "pattern": r"\S"}
_KEY: Final[Schema] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 200,
    "description": "Sent twice, it counts once.",
}
_PAYMENTS: Final = (PaymentLapsed, PaymentCurrent, ContractTerminated)
SECURITY: Final[Schema] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of `api:` in the file of hook secrets."},
    "password": {"type": "http", "scheme": "basic", "description": "The token as the password, of whatever name."},
    "header": {"type": "apiKey", "in": "header", "name": "X-Pactkeeper-Token", "description": "The token alone."},
}


def ref(name: str) -> Schema:
    """One of the schemas of `_shared`."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(*optional: str, **properties: Schema) -> Schema:
    """An object of these properties and no others; those named in `optional` may be left out."""
    wanted = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}


def one(value: object) -> Schema:
    """That value and no other."""
    return {"const": value}


def answer(words: str, schema: Schema | None = None, **media: Schema) -> Schema:
    """What an answer is: JSON of that schema, and whatever else it may be (`html`, `plain`)."""
    kinds = ({JSON: schema} if schema else {}) | {{"html": HTML, "plain": PLAIN}[kind]: s for kind, s in media.items()}
    return {"description": words, "content": {kind: {"schema": given} for kind, given in kinds.items()}}


def taken(**more: Schema) -> Schema:
    """An answer's body that says that something was taken."""
    return obj(accepted=one(True), **more)


def refused(status: int) -> Schema:
    """The answer of a refusal."""
    headers = {"headers": _RETRY} if status == 503 else {}
    return answer(_REFUSED[status], ref("Refusal")) | headers


def body(words: str, *schemas: Schema, media: Iterable[str] = (JSON,)) -> Schema:
    """The body of a request: one of these."""
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": list(schemas)}
    return {"description": words, "required": True, "content": {kind: {"schema": schema} for kind in media}}


def header(name: str, words: str, *, required: bool = True) -> Schema:
    """A header of a request."""
    return {"name": name, "in": "header", "required": required, "description": words, "schema": TEXT}


def query(name: str, words: str, schema: Schema) -> Schema:
    """A parameter of an address."""
    return {"name": name, "in": "query", "required": False, "description": words, "schema": schema}


STANDARD_WEBHOOKS: Final = (
    header("webhook-id", "The id of the delivery, the same over its retries; at most 200 characters."),
    header("webhook-timestamp", "Seconds since 1970, at most five minutes from now."),
    header(
        "webhook-signature",
        "`v1,` and base64 of the HMAC; several, with a space between them, while a secret is changed.",
    ),
)


def page(
    id: str,
    summary: str,
    answers: Mapping[int, Schema],
    *refusals: int,
    tag: str,
    sends: Schema | None = None,
    parameters: Iterable[Schema] = (),
    who: Iterable[str] = (),
) -> dict[str, Any]:
    """What FastAPI is to be told of a route. A body brings the ways with it in which any body is refused."""
    known = {status: refused(status) for status in sorted({*refusals, *(WITH_BODY if sends else ())})}
    said: Schema = {"responses": {str(status): given for status, given in (known | dict(answers)).items()}}
    if sends:
        said["requestBody"] = sends
    if parameters := list(parameters):
        said["parameters"] = parameters
    if who := list(who):
        said["security"] = [{scheme: []} for scheme in who]
    return {"operation_id": id, "summary": summary, "tags": [tag], "openapi_extra": said}


class Intake(FastAPI):
    """An app whose schema holds what its pages say, and nothing of what FastAPI would have them say."""

    def openapi(self) -> dict[str, Any]:
        """The schema, made once."""
        if self.openapi_schema is None:
            made = super().openapi()
            for operation in (one for page in made["paths"].values() for one in page.values()):
                operation["responses"] = {
                    status: given
                    for status, given in sorted(operation["responses"].items())
                    if given["description"] not in _NOT_OURS
                }
                for given in operation["responses"].values():
                    given["content"] = {kind: one for kind, one in given.get("content", {}).items() if one["schema"]}
            made["components"] = {"schemas": _shared(), "securitySchemes": SECURITY}
            self.openapi_schema = made
        return self.openapi_schema

    def takes(self, path: str) -> list[str]:
        """The methods of an address, as `Allow` has them; empty: it is none of the schema's."""
        return sorted(method.upper() for method in self.openapi()["paths"].get(path, {}))


def _shared() -> Schema:
    """The schemas that several pages have."""
    payments = [
        ("OfHook", {"customer": _OWN}, ()), ("OfApi", {"customer": _OWN, "key": _KEY}, ()), ("OfBilling", {"customer": _WHO}, ("customer",)),
    ]  # fmt: skip
    return {
        "Refusal": obj("path", error={"type": "string", "minLength": 1}, path=TEXT),
        **_model(Customer, "Customer", "serialization"),
        **_model(Customer, "CustomerGiven", "validation"),
        **{
            f"Ticket{kind.__name__}": _event(kind, {"ticket": _TICKET, "customer": _OWN}, ("ticket",))
            for kind in INCIDENT_EVENTS
        },
        **{f"{kind.__name__}{by}": _event(kind, more, wanted) for by, more, wanted in payments for kind in _PAYMENTS},
    }


def _event(kind: type[Event], more: Schema, wanted: tuple[str, ...]) -> Schema:
    """An event as a body: its own fields, when it happened, and what says whose it is."""
    told = kind.model_json_schema()
    told["properties"] |= {"at": _MOMENT, "occurred_at": _MOMENT, **more}
    told["required"] = sorted({*told.get("required", ()), "event", *wanted})
    made: Schema = _solid(told)
    return made


def _model(model: type[BaseModel], name: str, mode: Literal["validation", "serialization"]) -> Schema:
    """A model, and those that it is made of, under names that begin with its own."""
    told = model.model_json_schema(mode=mode, ref_template=f"#/components/schemas/{name}{{model}}")
    parts = told.pop("$defs", {})
    if mode == "validation":
        told["required"] = [field for field in told.get("required", ()) if field != "id"]  # the address has it
    return {
        part: _solid(schema) for part, schema in {name: told, **{f"{name}{k}": v for k, v in parts.items()}}.items()
    }


def _solid(schema: Any) -> Any:
    """A text that may not be empty is trimmed first, so it may not be blank either; a model's own schema does not say so."""
    if isinstance(schema, list):
        return [_solid(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _solid(one) for name, one in schema.items()}
    blank = made.get("type") == "string" and made.get("minLength") and "pattern" not in made
    return made | ({"pattern": r"\S"} if blank else {})


TICKET_EVENTS: Final = tuple(ref(f"Ticket{kind.__name__}") for kind in INCIDENT_EVENTS)
HOOK_PAYMENTS, API_PAYMENTS, BILLING_PAYMENTS = (
    tuple(ref(f"{kind.__name__}{by}") for kind in _PAYMENTS) for by in ("OfHook", "OfApi", "OfBilling")
)
