//! The installation as a whole: prepared, maintained, watched.

pub mod look_at_stores;
pub mod maintain_storage;
pub mod overhaul_storage;
pub mod prepare_installation;
pub mod report_health;
pub mod roll_up_counts;
