"""Tries a package as a worker would serve it, without a server: `python -m serving.trial`.

Everything is read and verified, both models are loaded, and each answers the example request of /info. Nobody follows
the control plane or is told anything by it; only its URL is looked at.
"""

from __future__ import annotations

import asyncio
import os
import sys

import httpx

from serving import worker
from serving.ask import VARIANT
from serving.control.store import StoreError, open_store
from serving.package import ROLES, PackageError, folder, read
from serving.web import Web


async def ask(web: Web) -> tuple[httpx.Response, ...]:
    """Each role's answer to the example, through the routes that a server would have."""
    transport = httpx.ASGITransport(app=web.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://trial") as client:
        example = (await client.get("/info")).raise_for_status().json()["example"]
        return tuple([await client.post("/predict", json=example, headers={VARIANT: role}) for role in ROLES])


def main() -> int:
    """0 when both models answer; 1 after saying what stands against it."""
    try:
        package = read(folder())
        if url := os.environ.get(worker.URL, package.rollout.control.url):
            open_store(url)  # its library is there; nothing is connected yet
        os.environ[worker.URL] = ""
        web = Web(package.rollout)
        served = worker.Worker(web, package)
        served.start()
        answers = asyncio.run(ask(web))
        served.stop()
    except (PackageError, StoreError) as e:
        print(f"the service cannot serve the package: {e}", file=sys.stderr)
        return 1
    for role, answer in zip(ROLES, answers, strict=True):
        print(f"{role} {package.name(role)}: {answer.status_code} {answer.text}")
        if answer.status_code != 200:
            print(f"the service does not answer its own example: {answer.text}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
