"""The address of all connected helpdesks, and what its page in the schema says."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from starter.openapi import TEXT, answer, body, header, obj, one, page, taken
from starter.source_hooks import FORM, SourceHooks


def add_source_hooks(app: FastAPI, hooks: SourceHooks) -> None:
    """The route of all connected sources."""
    texts = {"type": "array", "items": TEXT}
    brought = obj(
        "spooled", accepted=one(True), workflows=texts, words={"type": "integer", "minimum": 0}, spooled=one(True)
    )
    nothing = obj(accepted=one(False), ignored=TEXT)
    kept = obj(accepted=one(False), dead_letter=TEXT, why=TEXT)
    tried = obj(
        test=one(True),
        kind=TEXT,
        ignored={"type": ["string", "null"]},
        told={"type": "array", "items": {"type": "object"}},
    )
    said = page(
        "send_delivery",
        "Send a delivery of a connected helpdesk",
        {
            202: answer("It is with Temporal; or `spooled`: kept in the records until Temporal answers.", brought),
            200: answer(
                "It came before, tells nothing, is a test, or is kept as a dead letter; for sources that want 200, also "
                "what is 202 for the others; and as plain text a challenge that is answered.",
                {"anyOf": [taken(duplicate=one(True)), nothing, kept, tried, brought]},
                plain=TEXT,
            ),
        },
        401, 409, 422, 503,
        tag="hooks",
        sends=body("What the helpdesk sends.", {}, media=("application/json", FORM, "message/rfc822")),
        parameters=[header("X-Pactkeeper-Test", "`1`: only say what would be made of it.", required=False)],
    )  # fmt: skip

    @app.post("/hooks/{kind}/{place}", status_code=202, **said)
    async def source_hook(kind: str, place: str, request: Request) -> Response:
        """Each kind proves itself as its vendor has it: a signature over the bytes of the body in a header of its own (`zendesk`,
        `jira`, `zammad`, `escalated-django`, `request-tracker`, `slack`, `pagerduty`), the secret as `Authorization: Bearer`, as
        the password of `Basic` or as `X-Pactkeeper-Token` (`freshdesk`, `mail`, `alertmanager`), or as the last part of the address
        (`django-helpdesk`). For all others `place` is the name of the source.
        """
        return await hooks.take(kind, place, request)
