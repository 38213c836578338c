//! How messages are delivered.

mod calling;
