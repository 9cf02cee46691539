//! Hollow nodes: what is applied goes through the real controllers and comes out as processes.
#![expect(clippy::expect_used, reason = "a test fails by panicking, in its scene's set-up as well")]

mod containers;
mod end;
mod endpoints;
mod scene;
