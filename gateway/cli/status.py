"""``gateway status``: the running gateway on one screen, and what needs a person."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gateway.cli.exits import FAILED
from gateway.cli.operators import Operators, ask, listener_options
from gateway.cli.output import harmless, print_json, print_pairs, print_table
from gateway.flows.status.needs_person import span
from gateway.flows.status.nodes import HASH_CHARACTERS
from gateway.flows.status.shape import (
    EarlierStatus,
    EndpointStatus,
    KeyStatus,
    NodeStatus,
    OperationsStatus,
    ProviderStatus,
    QueueStatus,
    StoreStatus,
    WaitingStatus,
)
from gateway.web.admin.settings import StatusView

NODES = ("node", "process", "url", "version", "shared settings", "started_at", "heard of")

NAMED = 5
"""Endpoints and keys that are named in a line; --json has all."""


@click.command()
@listener_options
@click.pass_context
def status(context: click.Context, listener: Operators, as_json: bool) -> None:
    """Show the state of the running gateway, and what needs a person.

    Exit code 1 when something does, 0 otherwise.
    """
    found = ask(listener, "GET", "/admin/v1/status", wanted=StatusView)
    if as_json:
        print_json(found)
    else:
        print_pairs(_lines(found))
        _print_nodes(found.nodes)
        _print_needs(found.needs_person)
    if found.needs_person:
        context.exit(FAILED)


def _lines(found: StatusView) -> dict[str, str]:
    queues = found.queues
    plugins = (f"{one.name} {one.version or '?'} (API {one.api_version})" for one in found.plugins)
    return {
        "version": found.version,
        "settings": f"{found.config.hash} loaded at {found.config.loaded_at}",
        "plugins": ", ".join(plugins) or "none",
        "store": _store(found.store),
        "schedule": f"{_queue(queues.schedule)} due",
        "outbox": f"{_queue(queues.outbox)} pending, {queues.outbox.dead} dead",
        "inbox": f"{_queue(queues.inbox)} pending",
        "operations": _operations(queues.operations),
        "reviews": _waiting(found.reviews),
        "approvals": _waiting(found.approvals),
        "erasures": _waiting(found.erasures),
        "providers": ", ".join(map(_provider, found.providers)) or "none",
        "endpoints": _some([_endpoint(one) for one in found.endpoints]),
        "keys": _some([_key(one) for one in found.keys]),
        "rotation": _some([_earlier(one) for one in found.still_accepted]),
    }


def _print_nodes(nodes: Sequence[NodeStatus]) -> None:
    """A table, where there are several."""
    if len(nodes) > 1:
        click.echo()
        print_table(NODES, [_node(one) for one in nodes])


def _node(node: NodeStatus) -> tuple[str, ...]:
    heard = f"{span(node.lag_seconds)} ago" if node.is_alive else f"{span(node.lag_seconds)} ago, dead"
    settings = node.config_hash[:HASH_CHARACTERS]
    return node.id, f"{node.host} {node.pid}", node.url, node.version, settings, node.started_at, heard


def _print_needs(sentences: Sequence[str]) -> None:
    click.echo("\nneeds a person:" if sentences else "\nnothing needs a person")
    for sentence in sentences:
        click.echo(f"- {harmless(sentence)}")


def _store(store: StoreStatus) -> str:
    """What is known of it: nobody here knows how full a database's disk is."""
    said = ["of unknown size" if store.bytes is None else _size(store.bytes)]
    if store.disk_free is not None:
        said.append(f"{_size(store.disk_free)} free on its disk")
    if store.disk_is_low:
        said.append("almost full")
    moves = [f"{one.tenant} moves from {one.source} to {one.to} ({one.step})" for one in store.moves[:NAMED]]
    return ", ".join([*said, f"schema {store.schema_version}", *moves])


def _size(count: int) -> str:
    """Bytes as people read them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.0f} TB"


def _queue(queue: QueueStatus) -> str:
    return f"{queue.count}{f', {span(queue.lag_seconds)} late,' if queue.lag_seconds >= 1 else ''}"


def _operations(operations: OperationsStatus) -> str:
    said = f"{operations.sending} being sent, {operations.unknown} with an unknown outcome"
    return f"{said}, the oldest for {span(operations.oldest_age_seconds)}" if operations.count else said


def _waiting(waiting: WaitingStatus) -> str:
    return f"{waiting.count}, the oldest since {waiting.oldest}" if waiting.count else "none"


def _provider(provider: ProviderStatus) -> str:
    return f"{provider.name} {provider.failed} of {provider.calls} calls failed"


def _endpoint(endpoint: EndpointStatus) -> str:
    said = "failing" if endpoint.enabled else f"disabled ({endpoint.reason})"
    return f"{endpoint.tenant} {said} since {endpoint.disabled_at or endpoint.failing_since}"


def _key(key: KeyStatus) -> str:
    return f"{key.tenant or 'operators'} {key.id} {'expired' if key.expired else 'expires'} on {key.expires[:10]}"


def _earlier(earlier: EarlierStatus) -> str:
    used = f"used {sum(earlier.uses_by.values())} times"
    return f"{earlier.tenant}/{earlier.account} {earlier.name} {used}"


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more if texts else "all well"
