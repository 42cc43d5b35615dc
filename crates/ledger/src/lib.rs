//! What has happened: the memory model and the SQLite store.
