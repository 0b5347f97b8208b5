//! One misbehaviour, and what must come of it.

use std::{fmt, sync::Arc};

use super::{
    server::{Opening, Step},
    wire::{Talk, Wire},
};

/// What a server does to one request.
pub(super) type Play = Arc<dyn Fn(&Talk) -> Vec<Step> + Send + Sync>;

/// Where a server misbehaves.
#[derive(Clone)]
pub(super) enum Where {
    /// In its answer to one request, in each of these versions of HTTP.
    Answer(&'static [Wire], Play),
    /// Before that: on the connection on which the request would come.
    Connection(&'static [Wire], fn(Wire) -> Opening),
}

/// What must come of a read that is answered so.
#[derive(Debug, Clone)]
pub(super) enum Read {
    /// It is as good as any: the start goes on.
    Good,
    /// The call ends so, and nothing was sent.
    Ends(&'static str),
    /// The call ends in one of these ways: which of two things the client sees first is a race.
    OneOf(&'static [&'static str]),
}

/// What must come of a start that is answered so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It was accepted.
    Yes,
    /// It was refused: the call ends so, and the intent counts.
    No(&'static str),
    /// Nobody knows: reads tell, and where they do not it stays in doubt.
    Unclear,
    /// Nothing was sent, which is proved: the intent is given back.
    Unsent,
    /// The call ends in one of these ways, and the intent counts: what the client sees is a race.
    OneOf(&'static [&'static str]),
}

/// A misbehaviour.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) place: Where,
    pub(super) read: Read,
    pub(super) start: Start,
    /// The deadline of the request ends it, so that is set short.
    pub(super) slow: bool,
    /// After it nothing may be asked for a while.
    pub(super) hushes: bool,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) const BOTH: &[Wire] = &[Wire::One, Wire::Two];

impl Row {
    fn new(name: impl Into<String>, place: Where, read: Read, start: Start) -> Self {
        Self { name: name.into(), place, read, start, slow: false, hushes: false }
    }

    /// Alike in both versions.
    pub(super) fn both(
        name: impl Into<String>,
        play: impl Fn(&Talk) -> Vec<Step> + Send + Sync + 'static,
        read: Read,
        start: Start,
    ) -> Self {
        Self::new(name, Where::Answer(BOTH, Arc::new(play)), read, start)
    }

    /// Of HTTP/1.1 alone.
    pub(super) fn one(
        name: impl Into<String>,
        play: impl Fn(&Talk) -> Vec<Step> + Send + Sync + 'static,
        read: Read,
        start: Start,
    ) -> Self {
        Self::new(name, Where::Answer(&[Wire::One], Arc::new(play)), read, start)
    }

    /// Of HTTP/2 alone.
    pub(super) fn two(
        name: impl Into<String>,
        play: impl Fn(&Talk) -> Vec<Step> + Send + Sync + 'static,
        read: Read,
        start: Start,
    ) -> Self {
        Self::new(name, Where::Answer(&[Wire::Two], Arc::new(play)), read, start)
    }

    /// Of a connection, before any request.
    pub(super) fn connection(
        name: impl Into<String>,
        wires: &'static [Wire],
        opening: fn(Wire) -> Opening,
        read: Read,
        start: Start,
    ) -> Self {
        Self::new(name, Where::Connection(wires, opening), read, start)
    }

    pub(super) fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    pub(super) fn hushes(mut self) -> Self {
        self.hushes = true;
        self
    }
}
