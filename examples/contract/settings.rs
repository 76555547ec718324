//! What the command line and the environment say.

use std::{error::Error, str::FromStr, time::Duration};

use socketio_proto::{Limits, Origins, RecoveryConfig, ReplayOrder, ServerConfig, engine::Cors};

use crate::tokio_driver::PeerLimits;

/// The default of the protocol, and what its suites expect.
pub const MAX_PAYLOAD: usize = 1_000_000;

/// A burst is what may come in so many seconds.
const BURST_SECONDS: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Protocol,
    Client,
    Acceptance,
    Interop,
}

pub struct Settings {
    pub profile: Profile,
    pub port: u16,
    pub node: Option<String>,
    recovery: Option<Duration>,
    replay_order: ReplayOrder,
    ping_interval: Option<Duration>,
    ping_timeout: Option<Duration>,
    packets_per_second: u32,
    cors_origins: Origins,
    origins: Origins,
    pub peer_limits: PeerLimits,
}

/// More than the default: whoever measures does it on few connections.
const PACKETS_PER_SECOND: u32 = 100_000;

impl Settings {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let profile = profile()?;
        let port = match profile {
            Profile::Protocol => 3000,
            Profile::Client => 3210,
            Profile::Acceptance => 3300,
            Profile::Interop => 0,
        };
        let replay_order = match variable::<String>("REPLAY_ORDER")?.as_deref() {
            None | Some("after-connect") => ReplayOrder::AfterConnect,
            Some("before-connect") => ReplayOrder::BeforeConnect,
            Some(other) => return Err(format!("REPLAY_ORDER: no such order: {other}").into()),
        };
        Ok(Self {
            profile,
            port: variable("PORT")?.unwrap_or(port),
            node: variable("NODE_NAME")?,
            recovery: variable("RECOVERY_MS")?.map(Duration::from_millis),
            replay_order,
            ping_interval: variable("PING_INTERVAL")?.map(Duration::from_millis),
            ping_timeout: variable("PING_TIMEOUT")?.map(Duration::from_millis),
            packets_per_second: variable("PACKETS_PER_SECOND")?.unwrap_or(PACKETS_PER_SECOND),
            cors_origins: origins("CORS_ORIGINS")?,
            origins: origins("ORIGINS")?,
            peer_limits: peer_limits()?,
        })
    }

    /// The engine of the profile, without recovery.
    pub fn engine(&self) -> ServerConfig {
        let mut limits = Limits::default();
        limits.packets_per_second = self.packets_per_second;
        limits.packet_burst = self.packets_per_second.saturating_mul(BURST_SECONDS);
        if matches!(self.profile, Profile::Interop) {
            // More than official clients take, so that the tests meet what these refuse.
            limits.outgoing_attachments = 20;
        }
        let origins = self.origins.clone();
        let config = ServerConfig::new().max_payload(MAX_PAYLOAD).limits(limits).origins(origins);
        let config = match self.profile {
            Profile::Protocol => config
                .ping_interval(Duration::from_millis(300))
                .ping_timeout(Duration::from_millis(200))
                .connect_timeout(Duration::from_millis(1000)),
            Profile::Client => config.ping_interval(Duration::from_millis(2000)),
            Profile::Acceptance => config,
            Profile::Interop => config
                .ping_interval(Duration::from_millis(1000))
                .ping_timeout(Duration::from_millis(1000))
                .connect_timeout(Duration::from_millis(1000))
                .upgrade_timeout(Duration::from_millis(500)),
        };
        let config = match self.ping_interval {
            Some(interval) => config.ping_interval(interval),
            None => config,
        };
        match self.ping_timeout {
            Some(timeout) => config.ping_timeout(timeout),
            None => config,
        }
    }

    /// The server of the profile.
    pub fn server(&self) -> ServerConfig {
        let is_on = self.profile != Profile::Protocol || self.recovery.is_some();
        if !is_on {
            return self.engine();
        }
        let mut recovery = RecoveryConfig::default();
        recovery.replay_order = self.replay_order;
        if let Some(time) = self.recovery {
            recovery.max_disconnection = time;
        }
        self.engine().recovery(recovery)
    }

    /// The suites of the protocol ask for `*`. Elsewhere pages may send cookies as well.
    pub fn cors(&self) -> Cors {
        let has_credentials = self.profile != Profile::Protocol;
        Cors::new(self.cors_origins.clone()).credentials(has_credentials)
    }

    /// The client's suite tests its own timeout, for which an answer must not come at once. As in
    /// the reference, where only who opens a session is asked about, other requests do not wait.
    pub fn delay(&self) -> Duration {
        match self.profile {
            Profile::Client => Duration::from_millis(10),
            Profile::Protocol | Profile::Acceptance | Profile::Interop => Duration::ZERO,
        }
    }
}

/// All origins, or those of a comma-separated list.
fn origins(name: &str) -> Result<Origins, Box<dyn Error>> {
    let list = variable::<String>(name)?.filter(|list| list != "*");
    Ok(list.map_or_else(Origins::any, |list| Origins::list(list.split(','))))
}

fn peer_limits() -> Result<PeerLimits, Box<dyn Error>> {
    let mut peer_limits = PeerLimits::default();
    if let Some(connections) = variable("MAX_CONNECTIONS")? {
        peer_limits.connections = connections;
    }
    if let Some(time) = variable("IO_TIMEOUT_MS")?.map(Duration::from_millis) {
        (peer_limits.head, peer_limits.body, peer_limits.write) = (time, time, time);
    }
    Ok(peer_limits)
}

fn profile() -> Result<Profile, Box<dyn Error>> {
    use lexopt::Arg::Long;

    let mut profile = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("profile") => {
                profile = Some(match arguments.value()?.to_str() {
                    Some("protocol") => Profile::Protocol,
                    Some("client") => Profile::Client,
                    Some("acceptance") => Profile::Acceptance,
                    Some("interop") => Profile::Interop,
                    _ => return Err("--profile: protocol, client, acceptance or interop".into()),
                });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    profile.ok_or_else(|| "usage: contract --profile <protocol|client|acceptance|interop>".into())
}

fn variable<T: FromStr<Err: Error + 'static>>(name: &str) -> Result<Option<T>, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{name}: {error}").into()),
        },
        Err(_) => Ok(None),
    }
}
