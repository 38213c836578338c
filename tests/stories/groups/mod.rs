mod keeping;
mod sending;
mod syncing;
