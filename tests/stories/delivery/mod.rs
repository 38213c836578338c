//! How messages are delivered.

mod breaking;
mod calling;
mod pacing;
mod whatsapp_oficial;
