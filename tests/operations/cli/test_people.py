"""The commands about people, run as an operator runs them."""

from tests.operations.cli.conftest import Operator


async def test_people_are_added_listed_and_changed(operator: Operator) -> None:
    """Members and teams are made and seen; what cannot be is one line and exit code 2."""
    here = ("--organization", operator.live.organization_id)
    typed = "long enough\nlong enough\n"
    said = await operator.run("members", "add", "a@hall.example", "--name", "A", "--role", "owner", *here, typed=typed)
    member = said.split()[-1]
    assert member.startswith("mem_")
    assert "long enough" not in said
    assert "owner" in await operator.run("members", "list", *here)
    team = (await operator.run("teams", "add", "North", *here)).split()[-1]
    await operator.run("teams", "join", team, member, *here)
    assert "North" in await operator.run("teams", "list", *here)

    refused = await operator.run("members", "change", member, "--role", "viewer", *here, fails=True)
    assert "last owner" in refused
    assert len(refused.strip().splitlines()) == 1
    assert "is not one of" in await operator.run("members", "change", member, "--role", "king", *here, fails=True)
    assert "There is a team" in await operator.run("teams", "add", "North", *here, fails=True)


async def test_a_command_that_is_wrong_is_told_in_one_line(operator: Operator) -> None:
    """Unknown commands and options, values that do not fit and what is missing: one line that says where help is."""
    wrong: dict[str, tuple[str, ...]] = {
        "No such command 'sell'. See `temula --help`": ("sell",),
        "No such option: --all. See `temula webhooks log --help`": ("webhooks", "log", "--all"),
        "Missing option '--organization'. See `temula privacy erase --help`": ("privacy", "erase"),
        "Invalid value for '--limit'": ("webhooks", "log", "--limit", "many"),
    }
    for said, words in wrong.items():
        lines = (await operator.run(*words, fails=True)).splitlines()
        assert len(lines) == 1, lines
        assert said in lines[0].replace("python -m temula.operations.cli", "temula")
