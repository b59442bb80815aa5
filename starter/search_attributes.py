"""Making the typed search attributes known to a Temporal server, embedded or not."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from starter.state_dir import ServerError


async def register(client: Client, keys: Sequence[SearchAttributeKey[Any]]) -> None:
    """Make the attributes known to the client's namespace, and wait until queries may name them.

    Those that are known already are left alone, so that every start may call this.

    Raises:
        ServerError: one is known with another type, or the server refuses them: its SQL store has room for ten keywords
            and three of every other type.
    """
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(asked)).custom_attributes
    missing: dict[str, IndexedValueType.ValueType] = {}
    for key in keys:
        wanted = IndexedValueType.ValueType(key.indexed_value_type)
        if key.name not in known:
            missing[key.name] = wanted
        elif known[key.name] != wanted:
            name, other = _spoken(wanted), _spoken(known[key.name])
            raise ServerError(
                f"the search attribute {key.name} must be {name}; the server has it as {other}: remove it there"
            )
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
    except RPCError as error:
        raise ServerError(f"the server refuses the search attributes {', '.join(missing)}: {error}") from None
    for name in missing:
        await _until_queryable(client, name)


def _spoken(value: IndexedValueType.ValueType) -> str:
    return IndexedValueType.Name(value).removeprefix("INDEXED_VALUE_TYPE_").lower()


async def _until_queryable(client: Client, name: str) -> None:
    while True:
        try:
            await client.count_workflows(f"{name} IS NULL")
        except RPCError as error:
            if error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise
            await asyncio.sleep(0.05)
        else:
            return
