"""`up`, `worker`, `web` and `setup`: what keeps running, and what must be there before."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starter.commands import terminal
from starter.commands.failures import RefusalError
from starter.commands.options import option
from starter.home import STATE_VARIABLE, Home

if TYPE_CHECKING:
    from records.customer_files import Seeded
    from starter.up import Running

Port = Annotated[int | None, typer.Option(metavar="PORT", min=1, max=65535, show_default=False)]
State = Annotated[
    Path | None,
    option("FOLDER", f"Where data, log and notices are kept; left out: ${STATE_VARIABLE}, else var/.", "--state"),
]


def up(
    state: State = None,
    port: Port = None,
    ui_port: Port = None,
    web_port: Port = None,
) -> None:
    """Start everything on this machine: Temporal with its UI, a worker, the web intake. Ctrl-C stops it.

    Nothing is lost by stopping or by a crash: started again, it goes on. All ports are on 127.0.0.1: the usual ones
    (7233, 8233, 8400) where they are free, else others; what is where, it prints.

    Example: pactkeeper up
    """
    from starter import logs
    from starter.up import Ports, Running, until_stopped
    from starter.up import up as everything

    home = Home.here(state)
    try:
        logs.write_to(home.log)
    except OSError as error:
        raise RefusalError(f"the folder {home.state} cannot be written: {error.strerror}") from None
    _note_broken_policies()

    def ready(running: Running) -> None:
        for words in (*addresses(running), *news(running.seeded)):
            terminal.note(words)

    async def run() -> None:
        terminal.note(f"Starting Temporal, a worker and the web intake; data in {home.state}/")
        await everything(home, Ports(port, ui_port, web_port), ready)

    until_stopped(run)
    terminal.note("Stopped. Nothing is lost; `pactkeeper up` goes on.")


def _note_broken_policies() -> None:
    """What is wrong in the policy files: said at once, for the incidents that need them could not open."""
    from records.shelf import Shelf
    from starter.policy_check import check_files

    for finding in check_files([], Shelf()):
        if finding.severity == "error":
            terminal.note(str(finding))


def addresses(running: "Running") -> list[str]:
    """What a newcomer needs to know of what runs."""
    state = running.home.state
    example = 'open 4711 --customer acme --priority P1 --by ann@acme.example --subject "Nothing loads"'
    before = "" if state == Path("var") else f"{STATE_VARIABLE}={shlex.quote(str(state))} "
    return [
        "Pactkeeper is up.",
        f"  Temporal UI  {running.ui}",
        f"  Temporal     {running.temporal}",
        f"  Web intake   {running.web}/hooks/generic/CUSTOMER, signed with the customer's secret in {running.secrets}",
        f"  Deliveries   {running.web}/deliveries; the password is a token under `api:` in that file",
        f"  Log          {running.home.log}, every notice in {state / 'notices.jsonl'}",
        "Open a ticket in another terminal, and look at it:",
        f"  {before}pactkeeper {example}",
        f"  {before}pactkeeper status 4711",
        "Connect the helpdesk that you have:",
        f"  {before}pactkeeper connect",
        "Ctrl-C stops it.",
    ]


def worker() -> None:
    """Run a worker against the Temporal server that TEMPORAL_ADDRESS names.

    Example: TEMPORAL_ADDRESS=temporal:7233 pactkeeper worker
    """
    from records.sources import SourceStore
    from starter import logs
    from starter.connect import connect
    from starter.kept import read_here, recorded
    from starter.lookout import Lookout
    from starter.outcry import Outcry
    from starter.up import billing_accounts, channels, courier, first_to_end, intake, until_stopped, working
    from worker.alarms import Alarms

    home = Home.here()
    logs.write_to(None)

    async def run() -> None:
        settings = channels(home)
        async with recorded(home) as kept:
            hooks = intake(home, kept.policies)
            accounts = billing_accounts(hooks)
            client = await connect(home)
            await read_here(home, kept)
            sends = courier(home, kept, settings)
            outcry = Outcry(Alarms(kept.policies, sends).tell)
            lookout = Lookout(client, kept.policies, hooks, SourceStore(kept.engine), outcry.say)
            ready = working(home, client, kept, sends, accounts, hooks)
            terminal.note(
                f"The worker asks {client.service_client.config.target_host} for tasks of {ready.task_queue}."
            )
            parts = {
                "the worker": ready.run(),
                "the look-out for files that change": lookout.run(),
                "the alarms": outcry.run(),
            }
            await first_to_end(home, parts)

    until_stopped(run)


def web(
    host: Annotated[str, option("ADDRESS", "The address to listen on; left out: 127.0.0.1.")] = "127.0.0.1",
    port: Port = None,
) -> None:
    """Run the web intake alone, against the Temporal server that TEMPORAL_ADDRESS names.

    Example: TEMPORAL_ADDRESS=temporal:7233 pactkeeper web --port 8400
    """
    from starter import logs, web_note
    from starter.connect import connect
    from starter.front import front
    from starter.kept import read_here, recorded
    from starter.outcry import Outcry
    from starter.up import ack_links, channels, courier, first_to_end, intake, until_stopped
    from starter.web_server import WebServer
    from worker.alarms import Alarms

    home = Home.here()
    logs.write_to(None)

    async def run() -> None:
        settings = channels(home)
        async with recorded(home) as kept:
            hooks = intake(home, kept.policies)
            client = await connect(home)
            await read_here(home, kept)
            outcry = Outcry(Alarms(kept.policies, courier(home, kept, settings)).tell)
            door = front(client, kept, hooks, ack_links(home), outcry.say)
            ready = WebServer(door.app, host, port)
            web_note.leave(home, ready.url)
            terminal.note(
                f"The web intake listens at {ready.url}, for Temporal at {client.service_client.config.target_host}."
            )
            parts = {
                "the web intake": ready.run(),
                "the log of deliveries": door.run(),
                "the alarms": outcry.run(),
            }
            await first_to_end(home, parts)

    until_stopped(run)


def setup() -> None:
    """Make a Temporal server and the database ready: search attributes, the reconciler's schedule, tables.

    Doing it again changes nothing.

    Example: TEMPORAL_ADDRESS=temporal:7233 pactkeeper setup
    """
    import asyncio

    from activities.attributes import ALL_KEYS
    from starter.connect import connect
    from starter.kept import prepare_records
    from starter.schedules import ensure_schedule, ensure_sweep_schedule
    from starter.search_attributes import register

    home = Home.here()

    async def prepare() -> tuple[str, "Seeded"]:
        client = await connect(home)
        await register(client, ALL_KEYS)
        await ensure_schedule(client)
        await ensure_sweep_schedule(client)
        return client.service_client.config.target_host, await prepare_records(home)

    where, seeded = asyncio.run(prepare())
    terminal.note(f"Temporal at {where} knows the search attributes, and the database of records is up to date.")
    for words in (*seeded.broken, *news(seeded)):
        terminal.note(words)


def news(seeded: "Seeded") -> list[str]:
    """What an operator should know of the customers' files."""
    said = list(seeded.refused)
    if seeded.added:
        said.append(f"Customers taken up from their files: {', '.join(seeded.added)}.")
    hold = "says something else than the records, which hold; `pactkeeper customer import"
    return [*said, *(f"{file} {hold} {shlex.quote(file)}` takes it up" for file in seeded.differ)]
