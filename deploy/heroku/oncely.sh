#!/bin/sh
# What the dyno `oncely` runs: the tasks of after, once the release phase is over, then all that comes.
# The dyno starts again each day; there is nothing to do then.
#
# Heroku tells every process of a dyno to stop, so that oncely has heard it when the shell acts on it.
trap 'exit 143' TERM
oncely run --phase after ||
    echo "oncely: the tasks of after are not all done (exit $?); see: heroku run oncely status" >&2
exec oncely serve
