//! What starts tasks: one file a trigger.
