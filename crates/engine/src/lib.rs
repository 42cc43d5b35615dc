//! Drives runs: intake, runner, leases, items.
