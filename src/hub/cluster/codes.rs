//! Why a session cannot be recovered, as other nodes are told.

use crate::recovery::RecoveryRefusal;

/// The reasons that another node may give, as numbers.
const CODES: [RecoveryRefusal; 8] = [
    RecoveryRefusal::Unknown,
    RecoveryRefusal::OtherNamespace,
    RecoveryRefusal::Expired,
    RecoveryRefusal::Gap,
    RecoveryRefusal::InvalidOffset,
    RecoveryRefusal::Limit,
    RecoveryRefusal::PoisonEvent,
    RecoveryRefusal::Superseded,
];

pub(super) fn code(refusal: RecoveryRefusal) -> u8 {
    let code = CODES.iter().position(|it| *it == refusal).unwrap_or_default();
    u8::try_from(code).unwrap_or_default()
}

pub(super) fn refusal(code: u8) -> RecoveryRefusal {
    CODES.get(usize::from(code)).copied().unwrap_or(RecoveryRefusal::Unanswered)
}
