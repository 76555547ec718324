//! What the application of a client does.

use std::time::Duration;

use socketio_proto::{
    client::{Auth, BufferedEvent, ClientEmitError, ClientSnapshot, JoinError},
    socket::{Args, Json},
};

use super::world::{NAMESPACES, World};
use crate::draw;

impl World<'_> {
    pub(super) fn act_as_application(&mut self) {
        match self.source.below(16) {
            0 | 1 => self.connect(),
            2 => {
                let namespace = self.draw_namespace();
                let was_active = self.client.is_active(namespace);
                assert_eq!(self.client.disconnect(self.now, namespace), was_active);
                assert!(!self.client.is_active(namespace) && !self.client.is_connected(namespace));
            }
            3 | 4 => self.provide_auth(),
            5..=10 => self.emit(),
            11 => self.acknowledge(),
            12 => self.take_back(),
            13 => self.read_state(),
            14 => self.restart(),
            _ => {
                if self.source.flag() {
                    self.client.reconnect(self.now);
                } else {
                    self.client.close(self.now);
                }
            }
        }
    }

    fn connect(&mut self) {
        let namespace = self.draw_namespace();
        let auth = match self.source.below(4) {
            0 => Auth::Ask,
            1 => Auth::Value(json("{\"token\":1}")),
            _ => Auth::None,
        };
        let joined = self.client.connect(self.now, namespace, auth);
        assert!(matches!(joined, Ok(_) | Err(JoinError::TooMany { .. })));
        assert_eq!(self.client.is_active(namespace), joined.is_ok());
    }

    fn provide_auth(&mut self) {
        let index = usize::from(self.source.byte()).checked_rem(self.requests.len());
        let Some(request) = index.map(|index| self.requests.swap_remove(index)) else {
            return;
        };
        let text = ["{\"token\":2}", "{ }", "[]"];
        let auth = json(self.source.pick(&text).unwrap_or(&"{}"));
        let result = self.client.provide_auth(self.now, request, &auth);
        assert_eq!(result.is_err(), auth.as_str() == "[]");
    }

    fn emit(&mut self) {
        let namespace = self.draw_namespace();
        let event = draw::event(&mut self.source);
        let result = match self.source.below(4) {
            0 => self.client.emit(self.now, namespace, &event),
            1 => {
                let is_sent = self.client.emit_volatile(self.now, namespace, &event);
                assert!(!is_sent || self.client.is_connected(namespace));
                return;
            }
            2 => {
                let timeout = Duration::from_millis(u64::from(self.source.byte()) * 4);
                let ack = self.client.emit_with_ack(self.now, namespace, &event, timeout);
                ack.map(|ack| self.expect(ack, namespace))
            }
            _ => {
                let ack = self.client.emit_with_retries(self.now, namespace, &event);
                ack.map(|ack| self.expect(ack, namespace))
            }
        };
        let is_unknown = result == Err(ClientEmitError::UnknownNamespace);
        assert!(!is_unknown || !self.client.is_active(namespace));
    }

    fn acknowledge(&mut self) {
        let index = usize::from(self.source.byte()).checked_rem(self.tokens.len());
        if let Some(token) = index.map(|index| self.tokens.swap_remove(index)) {
            self.client.ack(self.now, token, &Args::empty());
        }
    }

    fn take_back(&mut self) {
        let namespace = self.draw_namespace();
        let taken = if self.source.flag() {
            let taken = self.client.take_buffered(self.now, namespace);
            assert_eq!(self.client.buffered(namespace).count(), 0);
            taken
        } else {
            let taken = self.client.take_retrying(self.now, namespace);
            assert_eq!(self.client.retrying(namespace).count(), 0);
            taken
        };
        for event in taken {
            let stored = serde_json::to_string(&event).unwrap_or_default();
            let Ok(restored) = serde_json::from_str::<BufferedEvent>(&stored) else {
                unreachable!("it is what was stored: {stored}");
            };
            assert_eq!(restored.emitted_at(), event.emitted_at());
            assert_eq!(restored.into_event(), event.into_event());
        }
    }

    /// What is stored may have been changed by anybody.
    fn read_state(&mut self) {
        let text = self.source.text();
        drop(serde_json::from_str::<BufferedEvent>(&text));
        if let Ok(state) = serde_json::from_str::<ClientSnapshot>(&text)
            && self.client.restore(self.now, state).is_ok()
        {
            self.expect_restored();
        }
    }

    fn draw_namespace(&mut self) -> &'static str {
        // Mostly the main one, where something is going on.
        let index = usize::from(self.source.below(8)).saturating_sub(4);
        NAMESPACES.get(index).copied().unwrap_or("/")
    }
}

fn json(text: &str) -> Json {
    Json::from_text(text).unwrap_or(Json::empty_object())
}
