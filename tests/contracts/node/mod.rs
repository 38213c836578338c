//! This process among others.

mod node_repository;
