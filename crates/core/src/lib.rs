//! What a task is and what happens next: pure, synchronous, without clock, files or network.
