//! What is drawn once for a run.

use std::time::Duration;

use socketio_proto::{Limits, RecoveryConfig, ServerConfig};

use crate::dice::Dice;

/// How many packets a client may send at once, and in a second.
pub const PACKET_BURST: u32 = 200;

/// How a run goes.
pub struct Plan {
    /// How many of 16 faults that could be are. 0 for none at all.
    pub faults: usize,
    /// Whether nodes hand out late what they have to say.
    pub is_lazy: bool,
    /// Whether the application answers CONNECTs late.
    pub answers_late: bool,
    pub config: ServerConfig,
}

impl Plan {
    pub fn draw(dice: &mut Dice) -> Self {
        let faults = dice.pick(&[0, 0, 2, 8, 16]);
        // Most clients wait for longer than a node usually lags.
        let lookup_timeout = Duration::from_secs(dice.pick(&[1, 20, 20, 20]));
        let mut recovery = RecoveryConfig::new()
            .max_disconnection(Duration::from_secs(3_600))
            .lookup_timeout(Some(lookup_timeout))
            .skip_authorization(dice.one_in(2));
        if dice.one_in(4) {
            recovery = recovery.claim_burst(1).claims_per_second(2);
        }
        let limits = Limits::new().packet_burst(PACKET_BURST).packets_per_second(PACKET_BURST);
        let config = ServerConfig::new()
            .recovery(recovery)
            .limits(limits)
            .ping_interval(Duration::from_secs(3_600))
            .connect_timeout(Duration::from_secs(3_600));
        Self { faults, is_lazy: dice.one_in(3), answers_late: dice.one_in(3), config }
    }
}
