"""bench/demo in short form: it runs, nothing failed, and its report says what happened in each phase."""

import json
import os
import subprocess

import pytest

from proxy import BUILD, ROOT

PHASES = ["planned", "dual_write", "read_new", "new_only"]


@pytest.mark.parametrize("arguments", [[], ["--kill"]], ids=["undisturbed", "killed"])
def test_demo(tmp_path, arguments):
    rows = "300000" if arguments else "50000"
    environment = {**os.environ, "DEMO_ROWS": rows, "DEMO_SECONDS": "2", "DEMO_BIN": str(BUILD), "DEMO_OUT": str(tmp_path)}
    done = subprocess.run([str(ROOT / "bench" / "demo"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in PHASES:
        assert phase in done.stdout, done.stdout
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg" in report
    for phase in PHASES:
        assert phase in report
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
