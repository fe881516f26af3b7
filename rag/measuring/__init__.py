"""How good the answers are: question files, measures with intervals, reports, fitting."""
