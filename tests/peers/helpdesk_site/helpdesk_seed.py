"""Fill an empty helpdesk: the queue `support`, and those who may log in: the agents dana and alex, and Ann of Acme."""

import os

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from helpdesk.models import Queue  # noqa: E402

for _name in ("dana", "alex"):
    get_user_model().objects.create_superuser(_name, f"{_name}@helpdesk.example", f"{_name}-password")
get_user_model().objects.create_user("ann", "ann@acme.example", "ann-password")
Queue.objects.create(
    title="Support",
    slug="support",
    allow_public_submission=True,
    allow_email_submission=True,
    email_address="support@helpdesk.example",
    email_box_type="local",
    email_box_local_dir=os.environ["HELPDESK_MAIL"],
    email_box_interval=0,
)
