//! The model of recovery that is written from the promise: that of `tests/recovery`.

#[path = "../../tests/recovery/model/op.rs"]
pub(crate) mod op;
#[path = "../../tests/recovery/model/peer.rs"]
mod peer;
#[path = "../../tests/recovery/model/promise.rs"]
pub(crate) mod promise;
#[path = "../../tests/recovery/model/steps.rs"]
pub(crate) mod steps;
