//! How messages are delivered.

mod calling;
mod pacing;
mod whatsapp_oficial;
