"""The command line: `pactkeeper COMMAND`, its commands in the order in which a newcomer meets them."""

import os
import sys
from collections.abc import Callable, Sequence

import typer
from typer.exceptions import TyperException

from starter.commands import (
    account,
    act,
    billing,
    connect_source,
    customer,
    customer_edit,
    deliveries,
    demo,
    doctor,
    explain,
    letters,
    look,
    notices,
    open,  # noqa: A004
    play,
    policy,
    reply,
    serve,
    sources,
    standing,
    status,
)
from starter.commands.failures import told

app = typer.Typer(
    name="pactkeeper",
    help="A support contract, running: each incident keeps the contract's clocks, escalates, and can say why.\n\n"
    "Begin with `pactkeeper up`, and open a ticket in a second terminal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
policies = typer.Typer(no_args_is_help=True, help="Look at policy files.", rich_markup_mode="markdown")
policies.command("check")(policy.check)
customers = typer.Typer(
    no_args_is_help=True, help="Customers: contract lines, payments, contacts.", rich_markup_mode="markdown"
)
OF_CUSTOMERS: dict[str, Callable[..., None]] = {
    "list": customer.every,
    "show": customer.show,
    "set": customer_edit.set_customer,
    "line": customer_edit.line,
    "link": customer_edit.link,
    "contact": customer_edit.contact,
    "import": customer.bring_in,
    "export": customer.export,
    "remove": customer.remove,
}

RUN, TICKETS, CUSTOMERS, LOOK, TRY = "Run it", "Tickets", "Customers", "Look", "Try it without a server"
COMMANDS: list[tuple[str, dict[str, Callable[..., None]]]] = [
    (
        RUN,
        {
            "up": serve.up,
            "worker": serve.worker,
            "web": serve.web,
            "setup": serve.setup,
            "connect": connect_source.connect,
            "doctor": doctor.doctor,
        },
    ),
    (
        TICKETS,
        {
            "open": open.open_ticket,
            "reply": reply.reply,
            "ack": act.ack,
            "assign": act.assign,
            "reclassify": act.reclassify,
            "wait": act.wait,
            "plan-given": act.plan_given,
            "resolve": act.resolve,
            "reopen": act.reopen,
            "close": act.close,
            "dispose": act.dispose,
            "restore": act.restore,
            "authorize": act.authorize,
            "decline": act.decline,
            "revise-calendar": act.revise_calendar,
            "move-policy": act.move_policy,
            "settle": act.settle,
        },
    ),
    (
        CUSTOMERS,
        {
            "standing": standing.standing,
            "suspend": account.suspend,
            "resume": account.resume,
            "approve": standing.approve,
            "decline-suspension": standing.decline_suspension,
            "except": standing.except_,
            "end-exception": standing.end_exception,
            "reconcile": billing.reconcile,
        },
    ),
    (
        LOOK,
        {
            "status": status.status,
            "plan": look.plan,
            "proof": look.proof,
            "log": look.log,
            "notices": notices.notices,
            "sources": sources.sources,
            "deliveries": deliveries.deliveries,
            "letters": letters.letters,
        },
    ),
    (TRY, {"demo": demo.demo, "explain": explain.explain, "play": play.play}),
]
for panel, commands in COMMANDS:
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)
for name, command in OF_CUSTOMERS.items():
    customers.command(name)(command)
app.add_typer(customers, name="customer", rich_help_panel=CUSTOMERS)
app.add_typer(policies, name="policy", rich_help_panel=TRY)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; its exit status: 0 done, 1 refused or not met, 2 not understood, 130 interrupted."""
    try:
        came = typer.main.get_command(app).main([_text(a) for a in arguments], "pactkeeper", standalone_mode=False)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        path = getattr(context, "command_path", "pactkeeper")
        if said := error.format_message():
            said = said[0].lower() + said[1:].rstrip(".?").replace(". Did you mean", ", did you mean")
            print(f"{path}: {said}; `{path} --help` shows what it takes", file=sys.stderr)
        return error.exit_code
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a sentence
        return told(error)
    return came if isinstance(came, int) else 0


def _text(argument: str) -> str:
    """An argument whose stray bytes are made readable: what is sent must be Unicode."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def main() -> None:
    """The command `pactkeeper`."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # Closed by whoever started us: what is said there goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            setattr(sys, name, os.fdopen(descriptor, "w", closefd=False))
        else:
            stream.reconfigure(errors="backslashreplace")
    leave(run(sys.argv[1:]))


def leave(code: int) -> None:
    """End the process at once: an interpreter that winds down beside a Temporal client's threads can crash."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue
    os._exit(code)
