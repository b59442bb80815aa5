"""Our own note is known by the mark that ends it; who quotes it is heard."""

import pytest

from sla.intake import marked

MARK = "[pactkeeper:0123456789abcdef]"


@pytest.mark.parametrize(
    "text", [MARK, f"Half is used.\n\n{MARK}", f"Half is used. {MARK}", f"Half is used.\r\n\r\n{MARK}\r\n \n"]
)
def test_a_note_that_ends_with_our_mark_is_ours_where_the_customer_does_not_see_it(text: str) -> None:
    assert marked(text, public=False)
    assert not marked(text, public=True), "we write internal notes alone"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Half is used.",
        f"On it.\n\n> Half is used.\n>\n> {MARK}",
        f"{MARK}\nI take it from here.",
        "[pactkeeper:0123]",
    ],
)
def test_who_quotes_our_note_is_heard(text: str | None) -> None:
    assert not marked(text, public=False)
