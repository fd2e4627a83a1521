//! The rules of session lifetime.
