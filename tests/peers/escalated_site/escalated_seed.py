"""Fill an empty helpdesk: two agents, two customers and a robot, each with a token for its API; one webhook for all that it sends."""

import json
import os
from pathlib import Path

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from escalated.event_names import CANONICAL_EVENTS  # noqa: E402
from escalated.models import ApiToken, Department, Tag, Webhook  # noqa: E402

_users = get_user_model().objects
_people = {
    "dana": _users.create_user("dana", "dana@helpdesk.example", "dana-password"),
    "alex": _users.create_user("alex", "alex@helpdesk.example", "alex-password"),
    "ann": _users.create_user("ann", "ann@acme.example", "ann-password"),
    "bob": _users.create_user("bob", "bob@acme.example", "bob-password"),
    "robot": _users.create_superuser("robot", "robot@helpdesk.example", "robot-password"),
}
Department.objects.create(name="Support", slug="support").agents.set([_people["dana"], _people["alex"]])
Tag.objects.create(name="late", slug="late")
_tokens = {name: ApiToken.create_token(user, name)["plain_text_token"] for name, user in _people.items()}
(Path(os.environ["ESCALATED_HOME"]) / "tokens.json").write_text(json.dumps(_tokens))
if os.environ["ESCALATED_HOOK"]:
    Webhook.objects.create(
        url=os.environ["ESCALATED_HOOK"],
        events=list(CANONICAL_EVENTS),
        secret=os.environ["ESCALATED_SECRET"],
        active=True,
    )
