//! Events of sources that the configuration describes.

mod receiving;
