//! How messages are delivered.

mod calling;
mod whatsapp_oficial;
