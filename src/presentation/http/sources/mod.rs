//! Reports of the sources that the configuration describes.

pub mod receive;
