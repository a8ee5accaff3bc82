"""What a session costs that does nothing, and what is left of one that moved a great deal.

Memory is not time: its bounds hold on every machine, and are asserted."""

import os
import time

import pytest

from certificates import make_certificate
from cluster import HOST
from crowd import crowd, descriptors, growth_kb, move, stub
from proxy import PATIENCE_S

SOAK = "SEGUE_SOAK" in os.environ
pytestmark = pytest.mark.skipif(bool(os.environ.get("SEGUE_SANITIZE")), reason="the sanitizers have memory of their own")

PLAIN_KB = 8
# OpenSSL's own objects: 15 to 17 kB for each encrypted side.
TLS_KB = 48
UNMOVED_KB = 2048
CLIENTS = min(10000, descriptors()) if SOAK else 1000
COPY_BYTES = (4 << 30) if SOAK else (128 << 20)
VALUE_BYTES = 1_000_000_000 if SOAK else 64_000_000


@pytest.fixture(params=["plain", "control", "tls"])
def proxied(request, start_segue, database, tmp_path):
    """segue in front of the stub, and whether its clients encrypt."""
    tls = request.param == "tls"
    certificate = make_certificate(tmp_path, "localhost") if tls else None
    options = ["--set", f"max_client_conn={CLIENTS + 10}"]
    if tls:
        options += [part for name, value in {"client_tls_sslmode": "require", "client_tls_key_file": certificate[0],
                                             "client_tls_cert_file": certificate[1], "server_tls_sslmode": "require"}.items()
                    for part in ("--set", f"{name}={value}")]
    with stub(certificate) as port:
        yield start_segue(control=database if request.param == "control" else None, options=options,
                          upstream=f"host={HOST} port={port}"), tls


def test_idle_sessions_cost_little_and_traffic_leaves_nothing(proxied):
    segue, tls = proxied
    with crowd(segue, 10, tls):
        pass  # what is taken once, whoever comes
    before = segue.memory_kb()
    with crowd(segue, CLIENTS, tls):
        idle = segue.memory_kb()
        assert (idle - before) / CLIENTS <= (TLS_KB if tls else PLAIN_KB)
        if SOAK and not tls:
            assert idle / CLIENTS * 10000 <= 100 * 1024
        for task, count in {"copy-in": COPY_BYTES, "copy-out": COPY_BYTES, "bind": VALUE_BYTES, "row": VALUE_BYTES}.items():
            assert growth_kb(segue, lambda: move(segue, task, count, tls)) <= UNMOVED_KB, task
    # They have gone, and with them what they took. The heap gives it back when most of them are.
    deadline = time.monotonic() + PATIENCE_S
    while segue.memory_kb() - before > (idle - before) / 2 + UNMOVED_KB:
        assert time.monotonic() < deadline
        time.sleep(0.1)
