//! The rules that keep the house easy to find one's way in, each with a proof that its check can fail.

mod circles;
mod functions;
mod imports;
mod layers;
mod modules;
mod rooms;
mod services;
mod sources;
