"""Runs loads in a process of their own and keeps count of which Organizations have bought."""

import json
import subprocess
import sys
from dataclasses import asdict

from bench.load import Load, Result
from bench.seed_facts import PRODUCT
from bench.stack import ROOT

#: A refusal is counted as an answer where a row expects it; anything else stops the run.
_EXPECTED = {"201"}


class LoadFailed(RuntimeError):
    """Requests were answered in a way that the row does not expect, so its number would mean nothing."""


class Shoppers:
    """Sends loads to one server; no Organization buys twice."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._next = 1

    def buy(self, kind: str, *, connections: int, seconds: float, requests: int = 0) -> Result:
        """Run one load to its end.

        :raises LoadFailed: a request failed.
        """
        load = Load(self._port, kind, connections, seconds, first=self._next, requests=requests, seed=self._next)
        result = _run(load)
        self._next += result.sent
        if kind != "peer" and self._next > PRODUCT - 2:
            raise LoadFailed("There are no Organizations left; raise PRODUCT or shorten the rounds.")
        if kind != "scarce" and set(result.statuses) - _EXPECTED:
            raise LoadFailed(f"Unexpected answers: {result.statuses}")
        return result

    def send(self, kind: str, *, connections: int, seconds: float, expected: str) -> Result:
        """Run a load that buys nothing; every answer must be ``expected``.

        :raises LoadFailed: one was not.
        """
        result = _run(Load(self._port, kind, connections, seconds, success=expected))
        if set(result.statuses) != {expected}:
            raise LoadFailed(f"Unexpected answers: {result.statuses}")
        return result


def _run(load: Load) -> Result:
    command = [sys.executable, "-m", "bench.load", json.dumps(asdict(load))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Result(**json.loads(done.stdout))
