//! What the binary promises, checked on the real program in projects of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod after_party;
mod against;
mod bad_input;
mod cancel_on;
mod commands;
mod containers;
mod demo;
mod deploy;
mod disk;
mod exit_codes;
mod first_minutes;
mod gateway;
mod importing;
mod links;
mod mail;
mod models;
mod overview;
mod packages;
mod people;
mod postgres;
mod processes;
mod project;
mod protected;
mod rails;
mod releases;
mod rounds;
mod serving;
mod skipping;
mod slack;
mod streams;
mod terminal;
mod testing;
mod tls;
mod undo;
mod webhooks;
