//! Starting, stopping, switching, looking at the whole.

mod around;
mod backing_up;
mod bench;
mod connections;
mod documented_commands;
mod documented_paths;
mod logging;
mod poolers;
mod processes;
mod sandbox;
mod starting;
mod stopping;
mod switching;
