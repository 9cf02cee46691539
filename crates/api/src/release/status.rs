use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::ReleaseSpec;

/// How far the release is. All of its state is in here, so that any controller can go on with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// What it does now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<ReleasePhase>,
    /// What agents route now; without it, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// The step that it is at, from 0; the last one holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i32>,
    /// How many steps there are, the one that holds included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<i32>,
    /// Since when it is at this step; in phase `Pending`, since when it waits, and in `RolledBack`,
    /// since when it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,
    /// What it waits for, or why it came to its end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The spec that it began with, by which it goes on whatever becomes of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "anything")]
    pub spec: Option<Box<ReleaseSpec>>,
    /// The `metadata.generation` that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The last command that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<ReleaseCommandResult>,
    /// `Accepted`: whether the release counts, and why not. `Progressing`: whether it goes on by
    /// itself. `Healthy`: what the analysis of this step says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// What happened, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<ReleaseEvent>,
}

/// What a release does.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ReleasePhase {
    /// It has not begun: a version is not there yet, or another release holds a Service.
    Pending,
    /// It is at a step.
    Progressing,
    /// It is at a step, and waits to be promoted.
    Paused,
    /// Everyone reaches the new version, and the old one is kept.
    Holding,
    /// Everyone reaches the new version, and the old one is not needed any more.
    Completed,
    /// Everyone reaches the stable version again.
    RolledBack,
}

/// What agents route.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Traffic {
    /// Everyone to the stable version.
    Stable,
    /// The same, but for Pods of the new one, which call the new one: for a moment before the first step,
    /// so that every node keeps a request at its version before any leads one to the new version.
    Prepared,
    /// As `step` says.
    Step,
    /// Everyone to the new version, but for Pods of the stable one, which call the stable one.
    Switched,
    /// Everyone to the new version.
    New,
    /// Everyone to the stable version, but for Pods of the new one, which call the new one.
    Returned,
}

/// What somebody asks of a release: the value of its annotation `etm.dev/command`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCommand {
    /// Tells this command from any other.
    pub id: String,
    /// What is asked.
    pub verb: CommandVerb,
    /// The step that it is asked of; of another one it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i32>,
}

/// What can be asked of a release.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum CommandVerb {
    /// To end the step that it is at, whatever its pause and its analysis say.
    Promote,
    /// To stay at the step until it is promoted.
    Pause,
    /// To send everyone to the stable version again, of one that is not completed.
    Abort,
    /// The same, also of one that is completed.
    Undo,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseCommandResult {
    /// Its id.
    pub id: String,
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not.
    pub message: String,
}

/// Something that happened to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseEvent {
    /// When.
    pub time: MicroTime,
    /// At which step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<i32>,
    /// What, in a word: `Begun`, `Stepped`, `Paused`, `Switched`, `Completed`, `AnalysisFailed`,
    /// `Aborted`, `Undone`, `ProgressDeadlineExceeded`, `NewVersionGone`.
    pub reason: String,
    /// The same in words, with what the analysis had found.
    pub message: String,
}

/// Owned as a whole: who owns which of its fields would be the longest part of what each node is sent.
fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-map-type": "atomic",
    })
}
