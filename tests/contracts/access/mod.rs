//! Who may call, and what one tenant sees.

mod api_key_repository;
