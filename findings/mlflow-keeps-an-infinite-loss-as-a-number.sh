#!/usr/bin/env bash
# What:    mlflow 3.17.2 (mlflow-skinny) with a database, its default store
# Guess:   a loss that became infinite is read back as infinite, as NaN is read back as NaN.
# Happens: it is read back as 1.7976931348623157e+308, and minus infinity as its negative: finite numbers, in the history
#          and in searches. The folder store gives infinity back.
# Matters: networks that diverge are sorted out by `isfinite`, which lets these through: a mean over trials becomes 1e307,
#          and "finite losses only" counts a diverged network as trained. Whether a loss overflows to infinity or to NaN
#          is an accident of the step.
set -euo pipefail
. "$(dirname "$0")/python.sh" mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1 numpy==2.4.6 pandas==3.1.1
export MLFLOW_ALLOW_FILE_STORE=true MLFLOW_DISABLE_TELEMETRY=true
"$PY" - <<'P'
import logging
import math
import sys
import tempfile

import mlflow

logging.disable(logging.WARNING)
folder, found = tempfile.mkdtemp(), {}
for name, place in (("database", f"sqlite:///{folder}/runs.db"), ("folder", f"file://{folder}/runs")):
    mlflow.set_tracking_uri(place)
    mlflow.set_experiment("tickets")
    with mlflow.start_run() as run:
        for step, loss in enumerate((0.5, math.inf, math.nan)):
            mlflow.log_metric("loss", loss, step=step)
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    found[name] = [m.value for m in sorted(history, key=lambda m: m.step)]
    print(f"{name}: {found[name]}")
infinite, nan = found["database"][1:]
sys.exit(not (math.isfinite(infinite) and infinite > 1e308 and math.isnan(nan) and math.isinf(found["folder"][1])))
P
