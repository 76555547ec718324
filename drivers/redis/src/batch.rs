//! Commands that are sent at once, and what their replies mean.

use socketio_proto::cluster::engines::redis_streams::{RedisCommand, RedisReply};

use crate::{connection::Commands, error::RedisEngineError};

/// Outputs that are carried out at once.
const OUTPUTS: usize = 128;
/// Bytes of commands that are sent without more.
const BYTES: usize = 1 << 20;

/// Commands that are sent at once. Of several, Redis carries out all or none, so that nothing takes
/// effect behind something that Redis has refused.
pub(crate) struct Batch {
    commands: Commands,
    steps: Vec<Step>,
    bytes: usize,
}

/// What the commands of a batch are for.
pub(crate) struct Steps {
    all: Vec<Step>,
    /// How many commands there are.
    commands: usize,
    is_transaction: bool,
}

/// What is to be done for one output.
struct Step {
    /// How many commands it takes.
    commands: usize,
    purpose: Purpose,
}

/// What a reply is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Append { sequence: Option<u64> },
    Publish,
    Count { number: u64 },
    Store { number: u64 },
    Fetch { number: u64 },
}

impl Batch {
    /// Begins with a list of commands in which there are none.
    pub(crate) const fn new(commands: Commands) -> Self {
        Self { commands, steps: Vec::new(), bytes: 0 }
    }

    /// Adds what is to be done for an output.
    pub(crate) fn add(&mut self, command: RedisCommand, purpose: Purpose) {
        self.push(command);
        self.steps.push(Step { commands: 1, purpose });
    }

    /// The same for a transaction, which becomes part of that of the batch.
    pub(crate) fn add_transaction(&mut self, commands: Vec<RedisCommand>, purpose: Purpose) {
        let inside = commands.len().saturating_sub(2);
        commands.into_iter().skip(1).take(inside).for_each(|command| self.push(command));
        self.steps.push(Step { commands: inside, purpose });
    }

    fn push(&mut self, command: RedisCommand) {
        self.bytes = self.bytes.saturating_add(command.wire_len());
        self.commands.push(command);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.steps.len() < OUTPUTS && self.bytes < BYTES
    }

    /// Returns what is sent, and what assigns the replies.
    pub(crate) fn split(self) -> (Commands, Steps) {
        let commands = self.commands.len();
        let is_transaction = commands > 1;
        (self.commands, Steps { all: self.steps, commands, is_transaction })
    }
}

impl Steps {
    /// Whether it is sent as a transaction, which takes two commands more.
    pub(crate) const fn is_transaction(&self) -> bool {
        self.is_transaction
    }

    pub(crate) fn is_single(&self) -> bool {
        self.all.len() == 1
    }

    /// How many entries and sessions are written.
    pub(crate) fn writes(&self) -> usize {
        self.all.iter().filter(|step| step.purpose.is_write()).count()
    }

    /// Assigns the replies.
    ///
    /// # Errors
    ///
    /// Redis has refused the transaction, or there are not as many replies as commands.
    pub(crate) fn results(
        &self,
        mut replies: Vec<RedisReply>,
    ) -> Result<Vec<(Purpose, RedisReply)>, RedisEngineError> {
        let unexpected = RedisEngineError::Unexpected { command: "EXEC" };
        if self.is_transaction {
            let executed = replies.pop();
            replies = match executed {
                Some(RedisReply::Array(results)) => results,
                Some(RedisReply::Error(text)) => return Err(refused(replies, &text)),
                _ => return Err(unexpected),
            };
        }
        if replies.len() != self.commands {
            return Err(unexpected);
        }
        let mut replies = replies.into_iter();
        let results = self.all.iter().map(|step| {
            let result = if step.commands == 1 {
                replies.next().unwrap_or(RedisReply::Nil)
            } else {
                RedisReply::Array(replies.by_ref().take(step.commands).collect())
            };
            (step.purpose, result)
        });
        Ok(results.collect())
    }
}

impl Purpose {
    const fn is_write(self) -> bool {
        matches!(self, Self::Append { .. } | Self::Store { .. })
    }
}

/// A transaction that was not executed, because of one of its commands.
fn refused(replies: Vec<RedisReply>, executed: &str) -> RedisEngineError {
    let cause = replies.into_iter().find_map(|reply| match reply {
        RedisReply::Error(text) => Some(text),
        _ => None,
    });
    let text = cause.as_deref().unwrap_or(executed);
    RedisEngineError::Refused { command: "a transaction", text: text.into() }
}
