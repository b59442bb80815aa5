"""A worker's health: whether the Temporal server has lately heard this machine ask for our workflow tasks. Exit 0 if so."""

import asyncio
import os
import socket
import sys
import time

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from sla.names import TASK_QUEUE

LATELY = 150.0
"""Seconds. A poll that finds no task lasts about a minute, and its start is what the server remembers."""


async def fault() -> str | None:
    """What is wrong, in one sentence, or None."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    client = await Client.connect(**config)
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    host = f"@{socket.gethostname()}"
    ours = [poller for poller in answer.pollers if poller.identity.endswith(host)]
    if not ours:
        return f"no worker of {host[1:]} asks {config['target_host']} for tasks of {TASK_QUEUE}"
    silent = time.time() - max(poller.last_access_time.seconds for poller in ours)
    return f"the worker has been silent for {silent:.0f} s" if silent > LATELY else None


def main() -> int:
    """0 for a worker that is alive, 1 and a sentence otherwise."""
    try:
        wrong = asyncio.run(asyncio.wait_for(fault(), 10))
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker is not known to be alive
        wrong = f"the Temporal server does not answer: {error or type(error).__name__}"
    if wrong:
        sys.stderr.write(wrong + "\n")
        sys.stderr.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    # Leaves at once: an interpreter that winds down beside the client's own threads can crash, and look like a dead worker.
    os._exit(main())
