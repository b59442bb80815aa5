"""Signatures are compared in constant time: every pair, by `hmac.compare_digest` and by nothing else."""

import ast
import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from sla.signing import BadSignature, Hook, compare
from starter import hook_signature, hook_stripe_signature
from starter.sample_signing import SIGNERS
from starter.sources import KINDS, adapter

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
RAW = b'{"id": 1}'
SECRETS = [
    "the-first-secret-of-three-in-force",
    "the-second-secret-of-three-in-force",
    "the-third-secret-of-three-in-force",
]
FOREIGN = "a-secret-that-nobody-here-has-at-all"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """The pairs that were compared, in constant time, since the test began."""
    pairs, real = list[tuple[bytes, bytes]](), hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        pairs.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    return pairs


def fits(verify: Callable[[], object], refused: type[Exception] = BadSignature) -> bool:
    try:
        verify()
    except refused:
        return False
    return True


WHERE = pytest.mark.parametrize("at", [0, 1, 2, None], ids=["the first fits", "the second", "the last", "none"])


@WHERE
def test_every_pair_is_compared_wherever_the_one_that_fits_stands(
    compared: list[tuple[bytes, bytes]], at: int | None
) -> None:
    wanted, given = [b"one", b"two", b"three"], ["x", "y", "z"]
    if at is not None:
        given[at] = wanted[at].decode()
    assert fits(lambda: compare(iter(wanted), given)) == (at is not None)
    assert compared == list(product(wanted, [one.encode() for one in given]))


@WHERE
def test_every_pair_of_a_standard_webhook_is_compared(compared: list[tuple[bytes, bytes]], at: int | None) -> None:
    def made(key: bytes) -> bytes:
        digest = hmac.new(key, f"id.{STAMP}.".encode() + RAW, hashlib.sha256).digest()
        return b"v1," + base64.b64encode(digest)

    keys = [secret.encode() for secret in SECRETS]
    given = [b"v1,eA==", made(FOREIGN.encode() if at is None else keys[at])]
    headers = {"webhook-id": "id", "webhook-timestamp": STAMP, "webhook-signature": b" ".join(given).decode()}
    taken = fits(lambda: hook_signature.verify(headers, RAW, keys, NOW), hook_signature.BadSignature)
    assert taken == (at is not None)
    assert compared == list(product(map(made, keys), given))


@WHERE
def test_every_pair_of_a_stripe_signature_is_compared(compared: list[tuple[bytes, bytes]], at: int | None) -> None:
    def made(key: bytes) -> bytes:
        return hmac.new(key, f"{STAMP}.".encode() + RAW, hashlib.sha256).hexdigest().encode()

    keys = [secret.encode() for secret in SECRETS]
    given = [b"0" * 64, made(FOREIGN.encode() if at is None else keys[at])]
    headers = {"stripe-signature": f"t={STAMP}," + ",".join(f"v1={one.decode()}" for one in given)}
    taken = fits(lambda: hook_stripe_signature.verify(headers, RAW, keys, NOW), hook_signature.BadSignature)
    assert taken == (at is not None)
    assert compared == list(product(map(made, keys), given))


@pytest.mark.parametrize("kind", KINDS)
def test_every_adapter_compares_with_every_secret_whichever_fits(
    compared: list[tuple[bytes, bytes]], kind: str
) -> None:
    """Its own scheme ends in `compare`: as many comparisons for the first secret as for the last, and for none."""
    counts = []
    for secret in [*SECRETS, FOREIGN]:
        compared.clear()
        hook = Hook(SIGNERS[kind](secret, RAW, NOW), RAW, NOW)
        assert fits(lambda hook=hook: adapter(kind).verify(hook, SECRETS)) == (secret != FOREIGN)
        counts.append(len(compared))
    assert len(set(counts)) == 1
    assert counts[0] >= len(SECRETS)


# That no module compares a signature in another way.

MODULES = [
    *sorted((ROOT / "starter" / "intake").rglob("*.py")),
    *sorted((ROOT / "starter").glob("hook_*signature.py")),
    ROOT / "sla" / "signing.py",
]
VERIFIERS = {"verify", "compare", "bearer"}
NAMES = {"wanted", "given", "signature", "signatures", "secret", "secrets"}
"""What in a verifier is a signature, or what makes one."""
MAKERS = {"digest", "hexdigest", "b64encode"}


def faults(code: str) -> list[str]:
    """Each `==`, `!=`, `in` and `not in` of two things of which one is a digest, or the header of a signature."""
    functions = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [fault for function in functions for fault in _faults(function)]


def _faults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    known = set(NAMES) if function.name in VERIFIERS else set[str]()
    while found := {name for name in _named(function, known) if name not in known}:
        known |= found
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and any(
            isinstance(o, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for o in node.ops
        ):
            sides = [node.left, *node.comparators]
            if any(_secret(side, known) for side in sides) and not any(
                isinstance(side, ast.Constant) for side in sides
            ):
                yield f"{function.name}: {ast.unparse(node)}"


def _named(function: ast.AST, known: set[str]) -> Iterator[str]:
    """The names that are given such a value."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=targets, value=value) if _secret(value, known):
                yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
            case (
                ast.NamedExpr(target=target, value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.For(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ) if _secret(value, known):
                yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _secret(node: ast.AST, known: set[str]) -> bool:
    """Whether it is, or is made of, a digest or a signature; what `compare_digest` and `len` say of one is not."""
    match node:
        case ast.Call(func=ast.Attribute(attr="compare_digest") | ast.Name(id="len")):
            return False
        case ast.Call(func=ast.Attribute(attr=name)) if name in MAKERS:
            return True
        case ast.Call(func=ast.Attribute(attr="header" | "get"), args=[ast.Constant(value=str(name)), *_]):
            return "signature" in name
        case ast.Call(func=ast.Attribute(value=ast.Name(id="hmac"))):
            return True
        case ast.Name(id=name):
            return name in known
    return any(_secret(child, known) for child in ast.iter_child_nodes(node))


def test_no_module_compares_a_signature_but_in_constant_time() -> None:
    assert len(MODULES) > len(KINDS)
    told = {path.relative_to(ROOT): faults(path.read_text(encoding="utf-8")) for path in MODULES}
    assert {path: found for path, found in told.items() if found} == {}


@pytest.mark.parametrize(
    "line",
    [
        "if wanted == given: return",
        "if hook.header('x-signature') != hmac.new(key, hook.raw, 'sha1').hexdigest(): raise BadSignature",
        "return hook.header('x-signature') in [hmac.new(one, hook.raw, 'sha256').hexdigest() for one in keys]",
        "ours = base64.b64encode(hmac.digest(key, hook.raw, 'sha1'))\n    theirs = ours\n    return theirs == hook.raw",
        "return any(one == other for one in told for other in (made := hmac.new(k, r).digest() for k in keys))",
        "return hook.header('x-token') in secrets",
    ],
)
def test_the_rule_notices(line: str) -> None:
    assert len(faults(f"def verify(hook, keys, told):\n    {line}\n")) == 1


@pytest.mark.parametrize(
    "line",
    [
        "return any(hmac.compare_digest(one, other) for one in wanted for other in given)",
        "stamp = next(value for name, _, value in given if name == 't')\n    return len(stamp) != len(given)",
        "scheme, _, told = hook.header('authorization').partition(' ')\n    return scheme.lower() == 'bearer'",
    ],
)
def test_the_rule_lets_pass_what_tells_nothing(line: str) -> None:
    assert faults(f"def verify(hook, keys, told):\n    {line}\n") == []
