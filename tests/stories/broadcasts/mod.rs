mod rate;
mod sending;
