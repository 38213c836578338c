//! The installation as a whole: prepared, maintained, watched.

pub mod history_time;
pub use history_time::HistoryTime;

pub mod lived_time;

pub mod maintain_storage;
pub use maintain_storage::MaintainStorage;

pub mod overhaul_storage;
pub use overhaul_storage::OverhaulStorage;

pub mod prepare_installation;
pub use prepare_installation::PrepareInstallation;

pub mod report_health;
pub use report_health::ReportHealth;

pub mod report_metrics;
pub use report_metrics::ReportMetrics;

pub mod roll_up_counts;
pub use roll_up_counts::RollUpCounts;

pub mod look_at_stores;
pub mod seen_brokers;
pub mod shared_ping;
