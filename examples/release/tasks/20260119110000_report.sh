#!/bin/sh
# /// oncely
# title = "Write down which release did the import"
# retry = { attempts = 1 }
# ///
set -eu
mkdir -p reports
echo "task $ONCELY_TASK, run $ONCELY_RUN, environment $ONCELY_ENVIRONMENT" > reports/import.txt
