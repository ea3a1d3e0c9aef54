"""Tries a package as a worker would serve it, without a server: `python -m serving.trial`.

Everything is read and verified, both models are loaded, and each answers the example request that /info shows. Nobody
follows the control plane or is told anything by it; only its URL is looked at.
"""

from __future__ import annotations

import os
import sys
import time

import orjson

from serving import worker
from serving.answer import answer
from serving.control.store import StoreError, open_store
from serving.openapi import example
from serving.package import ROLES, PackageError, folder, read
from serving.refusal import Refused
from serving.web import Web


def main() -> int:
    """0 when both models answer; 1 after saying what stands against it."""
    try:
        package = read(folder())
        if url := os.environ.get(worker.URL, package.rollout.control.url):
            open_store(url)  # its library is there; nothing is connected yet
        os.environ[worker.URL] = ""
        web = Web(package.rollout)
        worker.Worker(web, package).follower.boot()
        body = orjson.dumps(example(package))
        if len(body) > (limit := package.rollout.limits.body_bytes):
            raise Refused(f"limits.body_bytes: {limit}; a request of one row has {len(body)}", 413)
        for role in ROLES:
            _, content = answer(web.live, web.shadow, body, role, time.perf_counter())
            print(f"{role} {package.name(role)}: {content.decode()}")
    except (PackageError, StoreError, Refused) as e:
        print(f"the service cannot serve the package: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
