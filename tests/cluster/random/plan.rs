//! What is drawn once for a run.

use std::time::Duration;

use socketio_proto::{Limits, RecoveryConfig, ServerConfig, cluster::Durability};

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
    /// When each node stores its sessions.
    pub durability: Vec<Durability>,
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
        let (is_lazy, answers_late) = (dice.one_in(3), dice.one_in(3));
        Self { faults, is_lazy, answers_late, durability: durability(dice), config }
    }
}

impl Plan {
    /// Whether this node writes its sessions ahead.
    pub fn writes_ahead_at(&self, node: usize) -> bool {
        self.durability[node % self.durability.len()] == Durability::OnChange
    }

    /// Whether a node writes its sessions ahead.
    pub fn writes_ahead(&self) -> bool {
        self.durability.contains(&Durability::OnChange)
    }
}

/// Most runs have one durability, or that of `CLUSTER_DURABILITY`: `park`, `change` or `mixed`.
fn durability(dice: &mut Dice) -> Vec<Durability> {
    let (park, change) = (Durability::OnPark, Durability::OnChange);
    match std::env::var("CLUSTER_DURABILITY").as_deref() {
        Ok("park") => vec![park],
        Ok("change") => vec![change],
        Ok("mixed") => vec![park, change, change],
        _ => dice
            .pick(&[&[park][..], &[park], &[change], &[change], &[park, change, change]])
            .to_vec(),
    }
}
