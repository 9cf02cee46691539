//! Whole nodes of a real cluster: the real controllers, the real agent on each node, and Pods as a
//! kubelet runs them.
#![allow(clippy::expect_used, reason = "a test fails by panicking, in its scene as well")]

mod callers;
mod cohort;
mod deployment;
mod scene;
