//! What a step does: one file an action.
