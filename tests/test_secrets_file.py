"""The file of hook secrets changes in place: remarks stay, the rest stays, and what could not be read is never written."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from starter import secrets_file
from starter.hook_settings import HookSettingError, read

OLD, NEW = "an-old-secret-of-thirty-letters", "a-new-secret-of-thirty-letters"
REMARKS = """# ours
generic:
  acme: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=]  # the old system
{sources}
# who edits customers
api: []
"""


@pytest.mark.parametrize(
    "sources",
    [
        "",
        "sources:",
        "sources: {}",
        f"sources: {{other: {{secrets: [{OLD}]}}}}",
        f"sources:\n  # about the other\n  other:\n    secrets:\n    - {OLD}  # first\n",
        f"sources:\n    new:\n        secrets:\n          - {OLD}\n        user: somebody  # else\n",
        f"sources:\n  new: {{user: x, secrets: [{OLD}]}}",
        "sources:\n  new:\n    token: t",
        "sources:\n  new:",
    ],
)
def test_remarks_stay_where_they_are_when_a_secret_comes_and_goes(tmp_path: Path, sources: str) -> None:
    file = tmp_path / "hook-secrets.yaml"
    file.write_text(REMARKS.replace("{sources}", sources))
    had = ((yaml.safe_load(file.read_text())["sources"] or {}) if sources else {}).get("new") or {}
    place = ("sources", "new")
    secrets_file.change(file, [((*place, "user"), "bot"), ((*place, "secrets"), [NEW])])
    found = read(file).sources["new"]
    assert (found.secrets, found.user) == ((NEW, *had.get("secrets", ())), "bot")
    secrets_file.change(file, [((*place, "secrets"), [NEW[::-1]])])
    assert secrets_file.drop_last(file, (*place, "secrets")) == len(had.get("secrets", ())) + 1
    assert read(file).sources["new"].secrets[0] == NEW[::-1]
    for remark in re.findall(r"#.*", REMARKS.replace("{sources}", "")) + re.findall(r"# about.*", sources):
        assert remark in file.read_text()
    assert ("other" in sources) == ("other" in read(file).sources)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,10}", fullmatch=True)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=20, max_size=60)


@given(
    st.dictionaries(NAMES, st.lists(SECRETS, min_size=1, max_size=3), max_size=3), NAMES, SECRETS,
    st.text(max_size=30), st.sampled_from([None, True, False]),
)  # fmt: skip
def test_whatever_stands_in_the_file_a_new_secret_is_added_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory,
    there: dict[str, list[str]],
    name: str,
    secret: str,
    token: str,
    style: bool | None,
) -> None:
    file = tmp_path_factory.mktemp("secrets") / "hook-secrets.yaml"
    before = {"sources": {one: {"secrets": some} for one, some in there.items()}, "api": []}
    file.write_text(yaml.safe_dump(before, default_flow_style=style), encoding="utf-8")
    secrets_file.change(file, [(("sources", name, "token"), token), (("sources", name, "secrets"), [secret])])
    after = read(file)
    assert after.sources[name].secrets == (secret, *there.get(name, []))
    assert after.sources[name].token == token
    assert {one: list(after.sources[one].secrets) for one in there if one != name} == {
        one: some for one, some in there.items() if one != name
    }


def test_a_file_that_would_not_be_usable_afterwards_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "hook-secrets.yaml"
    file.write_text(f"sources: {{old: {{secrets: [{OLD}]}}}}\n")
    before = file.read_text()
    with pytest.raises(HookSettingError, match=r"sources\.new\.secrets") as told:
        secrets_file.change(file, [(("sources", "new", "secrets"), ["short"])])
    assert "short\n" not in str(told.value)
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]
