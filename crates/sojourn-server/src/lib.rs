//! HTTP.

pub mod portal;
