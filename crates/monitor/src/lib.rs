//! What monitoring systems and nodes' own signs say: who is to be taken out, and when he returns.
//!
//! [`Monitors`] and [`NodeSigns`] are pure: time is given to them. Beside them are the client of
//! Prometheus, the listener for Alertmanager and the list of a Service's endpoints.
#![forbid(unsafe_code)]

mod alerts;
mod answer;
mod endpoints;
mod judge;
mod monitors;
mod nodes;
mod prometheus;
mod subject;
mod webhook;

pub use alerts::{Alert, Notification};
pub use answer::{Sample, Unusable, samples};
pub use endpoints::endpoints;
pub use monitors::{Asked, Key, Monitors, Scope, Standing, Trouble};
pub use nodes::{NodeSigns, Verdict};
pub use prometheus::{Access, AccessError, Prometheus};
pub use subject::{Ejection, Labels, Named, Subject, Subjects};
pub use webhook::{Listener, ListenerError};
