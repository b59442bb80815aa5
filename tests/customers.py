"""Customers of every shape, for properties; and some by name."""

from datetime import date

from hypothesis import strategies as st

from sla.customer import BillingLink, Contact, ContractLine, Customer

ACME = Customer(
    id="acme",
    name="Acme",
    contract="tromzo",
    domains=("acme.example", "Acme.Example.Net"),
    contacts=(
        Contact(email="Ann@acme.example", name="Ann", roles=("technical", "support")),
        Contact(email="bo@acme.example", prefers="phone"),
    ),
    lines=(
        ContractLine(
            id="portal", title="The portal", products=("portal", "app"), billing=BillingLink(customer="cus_p")
        ),
        ContractLine(id="hardware", contract="bugzero", prepaid_until=date(2031, 12, 31)),
        ContractLine(id="care", prepaid=True),
    ),
    billing=BillingLink(customer="cus_a", subscription="sub_a"),
)
BOLT = Customer(id="bolt", name="Bolt", domains=("bolt.example",), billing=BillingLink(customer="cus_b"))

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
_LINK = st.builds(
    BillingLink,
    account=st.sampled_from(["main", "eu"]),
    customer=st.from_regex(r"[A-Za-z0-9_.:-]{1,8}", fullmatch=True),
    subscription=st.none() | st.sampled_from(["sub_1", "1", "null", "0x1"]),
)
_WORDS = st.sampled_from(
    ["on", "no", "true", "null", "~", "12", "1.5", "0644", "18:00", "2031-12-24", "- a", "a: b", "#"]
)
_ANY = _TEXT | _WORDS
_CONTACT = st.builds(
    Contact,
    email=st.from_regex(r"[a-z0-9+.]{1,8}@[a-z]{1,5}", fullmatch=True),
    name=_ANY,
    roles=st.lists(_ANY, max_size=2).map(tuple),
    prefers=st.sampled_from(["email", "phone", "portal", "log"]),
)
_LINE = st.builds(
    ContractLine,
    id=_NAME,
    title=_ANY,
    contract=st.none() | _ANY,
    products=st.lists(_ANY.filter(str.strip), max_size=2, unique_by=str.strip).map(tuple),
    prepaid=st.booleans(),
    prepaid_until=st.none() | st.dates(date(2000, 1, 1), date(2199, 12, 31)),
    billing=st.none() | _LINK,
)


def _distinct(lines: list[ContractLine]) -> bool:
    named = [line.id for line in lines] + [f" {product}" for line in lines for product in line.products]
    return len(set(named)) == len(named)


CUSTOMERS = st.builds(
    Customer,
    id=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12).filter(str.strip)
    | _WORDS,
    name=_ANY,
    contract=st.none() | _ANY,
    domains=st.lists(_ANY, max_size=2).map(tuple),
    contacts=st.lists(_CONTACT, max_size=3, unique_by=lambda c: c.email.casefold()).map(tuple),
    lines=st.lists(_LINE, max_size=3).filter(_distinct).map(tuple),
    billing=st.none() | _LINK,
)
