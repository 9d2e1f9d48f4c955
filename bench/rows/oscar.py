"""oscar: the product's checkout against django-oscar placing a voucher order, on the same Postgres."""

import os
import subprocess
import sys
from statistics import median

import psycopg

from bench.report import Row, Target
from bench.rows.checkout import FEW
from bench.seed_facts import VOUCHERS
from bench.shoppers import Shoppers
from bench.stack import HOME, ROOT, Stack, refresh_statistics, serve, worker_options
from catalyst.local.ports import free_port

NAMES = ("oscar",)
_FOLDER = ROOT / "bench" / "oscar"
_VENV = HOME / "oscar-venv"
_DATABASE = "peer"


def measure(stack: Stack, wanted: frozenset[str], shoppers: Shoppers, *, rounds: int, seconds: float) -> list[Row]:
    """Interleave both shops; each has the same workers, threads, connections and server."""
    environment, port = _prepare(stack), free_port()
    command = [str(_VENV / "bin" / "python"), "-m", "granian", *worker_options(port), "peer_wsgi:application"]
    peer = serve(command, environment, port=port, ready_path="/ready/", cwd=_FOLDER)
    try:
        peers = Shoppers(port)
        # Alone first: the very first orders race for the rows of its analytics, and some of them fail.
        peers.buy("peer", connections=1, seconds=2)
        peers.buy("peer", connections=FEW, seconds=2)
        shoppers.buy("spread", connections=FEW, seconds=1)
        ours, theirs = [], []
        for _ in range(rounds):
            refresh_statistics(stack)
            theirs.append(peers.buy("peer", connections=FEW, seconds=seconds).rate)
            ours.append(shoppers.buy("spread", connections=FEW, seconds=seconds).rate)
    finally:
        peer.terminate()
        peer.wait()
    return [Row("oscar", median(ours), median(theirs), "orders/s", Target(8, 10), "floor: django-oscar")]


def _prepare(stack: Stack) -> dict[str, str]:
    """Install the peer on first use, make its database, migrate and fill it; return its environment."""
    if not (_VENV / "bin" / "granian").exists():
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        install = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(_FOLDER / "requirements.txt")]
        subprocess.run(install, check=True)
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_DATABASE}")
    url = stack.postgres.url.rpartition("/")[0] + f"/{_DATABASE}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "peer_settings", "PEER_DATABASE_URL": url}
    seed = [str(_VENV / "bin" / "python"), "peer_seed.py", str(VOUCHERS)]
    subprocess.run(seed, env=environment, cwd=_FOLDER, check=True)
    return environment
