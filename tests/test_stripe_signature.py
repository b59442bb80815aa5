"""Stripe's signatures: what Stripe's own library signs is taken, and nothing else, by whatever right it is wrong."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe import SignatureVerificationError, Webhook, WebhookSignature

from starter.hook_signature import BadSignature
from starter.hook_stripe_signature import HEADER, verify

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
SECRET, OLD, FOREIGN = ("whsec_" + letter * 32 for letter in "aof")
ACTIVE = [SECRET.encode(), OLD.encode()]
BODY = b'{"id": "evt_1", "object": "event"}'


def signed(body: bytes = BODY, secret: str = SECRET, at: datetime = NOW) -> str:
    """The header as Stripe's own library makes it."""
    header: str = WebhookSignature.generate_signature_header(
        body.decode("utf-8", "surrogateescape"), secret, timestamp=int(at.timestamp())
    )
    return header


def taken(header: str | None, body: bytes = BODY, now: datetime = NOW) -> bool:
    try:
        verify({} if header is None else {HEADER: header}, body, ACTIVE, now)
    except BadSignature:
        return False
    return True


def test_what_the_vendors_library_signs_is_taken_by_each_active_secret() -> None:
    assert taken(signed())
    assert taken(signed(secret=OLD))
    assert not taken(signed(secret=FOREIGN))


def test_the_whole_secret_is_the_key_with_its_prefix() -> None:
    assert not taken(signed(secret=SECRET.removeprefix("whsec_")))


def test_one_fitting_signature_of_several_is_enough_as_while_a_secret_is_rolled() -> None:
    theirs = signed(secret=FOREIGN).partition("v1=")[2]
    assert taken(f"{signed()},v1={theirs}")
    stamp, _, mine = signed().partition(",v1=")
    assert taken(f"{stamp},v1={theirs},v1={mine},v0=abc")


@pytest.mark.parametrize(("seconds", "fits"), [(-300, True), (300, True), (-301, False), (301, False), (0, True)])
def test_the_window_is_three_hundred_seconds_both_ways(seconds: int, fits: bool) -> None:
    assert taken(signed(at=NOW + timedelta(seconds=seconds))) is fits


def test_the_vendors_library_would_let_the_future_pass_and_we_do_not() -> None:
    ahead = signed(at=datetime.now(UTC) + timedelta(days=300))
    Webhook.construct_event(BODY, ahead, SECRET, tolerance=300)
    assert not taken(ahead, now=datetime.now(UTC))


STAMP, _, RIGHT = signed().partition(",v1=")
WRONG = [
    None,
    "",
    ",",
    "t=",
    STAMP,
    f"v1={RIGHT}",
    f"{STAMP},v0={RIGHT}",
    f"{STAMP},v1={RIGHT[:-1]}",
    f"{STAMP},v1={RIGHT.upper()}",
    f"{STAMP},v1=",
    f"{STAMP},v1=\u00e9",
    f"{STAMP},{STAMP},v1={RIGHT}",
    f"t=NaN,v1={RIGHT}",
    f"t=-5,v1={RIGHT}",
    f"t=1e9,v1={RIGHT}",
    f"t={'9' * 400},v1={RIGHT}",
    f"t=\u0661\u0662,v1={RIGHT}",
    f"{STAMP}," + ",".join([f"v1={RIGHT}"] * 9),
    f"{STAMP},v1={RIGHT}" + "," * 5000,
]


@pytest.mark.parametrize("header", WRONG, ids=lambda header: str(header)[:40])
def test_a_header_that_is_none_signs_nothing(header: str | None) -> None:
    assert not taken(header)


def test_a_body_that_was_written_anew_is_not_what_was_signed() -> None:
    for body in (BODY.replace(b": ", b":"), BODY + b"\n", b"\xef\xbb\xbf" + BODY, BODY[:-1], b""):
        assert not taken(signed(), body)


@settings(max_examples=200, deadline=None)
@given(body=st.text(max_size=200))
def test_every_body_that_the_vendors_library_signs_is_taken(body: str) -> None:
    raw = body.encode("utf-8", "replace")
    assert taken(signed(raw), raw)
    assert not taken(signed(raw), raw + b" ")


@settings(max_examples=200, deadline=None)
@given(header=st.text(max_size=100) | st.from_regex(r"t=[0-9]{1,12},v1=[0-9a-f]{64}", fullmatch=True))
def test_what_the_vendors_library_refuses_we_refuse(header: str) -> None:
    with pytest.raises(SignatureVerificationError):
        Webhook.construct_event(BODY, header, SECRET, tolerance=300)
    assert not taken(header, now=datetime.now(UTC))
