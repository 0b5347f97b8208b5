//! The promises, judged where a POST leaves and after every step.

use super::{
    fault::Fault,
    steps::{Protocol, put},
    world::{Holder, Post, Promise, Saw, Seen, Sent, Who, World},
};

impl Protocol {
    /// A POST leaves. Here the promises are judged.
    pub(super) fn sent(&self, world: &mut World, who: Who, seen: Seen) {
        let bounds = self.bounds();
        let fresh = seen.age <= bounds.oldest_read() && seen.under_lease;
        if seen.saw != Saw::Stopped || !fresh {
            world.breaks(Promise::StateFirst);
        }
        if world.flights().next().is_some() && !bounds.untimed {
            world.breaks(Promise::OneInFlight);
        }
        let left = world.record.lease.filter(|lease| lease.who == who);
        let left = left.map(|lease| bounds.lease.saturating_sub(bounds.span(lease.age)));
        if left.is_none_or(|left| left < bounds.request_timeout) {
            world.breaks(Promise::Fenced);
        }
        let own = world.marks().find(|mark| mark.who == who);
        if own.is_none() {
            world.breaks(Promise::NeverForgotten);
        }
        let intent = own.map_or(0, |mark| mark.age);
        let earlier: Vec<Sent> = world.sent.iter().flatten().copied().collect();
        let apart = |sent: &Sent| sent.intent.abs_diff(intent);
        if earlier.iter().any(|sent| sent.who == who || apart(sent) < bounds.cooldown) {
            world.breaks(Promise::NeverRepeated);
        }
        let within = |sent: &&Sent| !sent.forgiven && apart(sent) < bounds.window;
        let forgiven = own.is_some_and(|mark| mark.forgiven);
        let most = usize::try_from(bounds.max_starts).unwrap_or(0);
        if !forgiven && earlier.iter().filter(within).count() >= most {
            world.breaks(Promise::Bounded);
        }
        let room = put(&mut world.sent, Sent { who, intent, forgiven })
            && put(&mut world.posts, Post { who, age: 0 });
        assert!(room || world.broken != 0, "a state holds too few POSTs: {world:?}");
        world.holders[usize::from(who)] = Holder::Posting { since: 0 };
        if self.scene.has(Fault::ReleaseBeforeSettle) {
            world.record.lease = None;
        }
    }

    /// What must hold after every step.
    pub(super) fn judge(&self, world: &mut World) {
        // Every POST of the window is in the record, at its time.
        let kept = |sent: &Sent| world.marks().any(|mark| mark.age == sent.intent);
        let horizon = self.bounds().horizon();
        if !world.sent.iter().flatten().filter(|sent| sent.intent < horizon).all(kept) {
            world.breaks(Promise::NeverForgotten);
        }
        // While a POST has time for its answer, nobody else can have the lease.
        let waits = |who: Who| match world.holders.get(usize::from(who)) {
            Some(Holder::Posting { since }) => *since < self.bounds().deadline(),
            _ => false,
        };
        if world.flights().any(|post| waits(post.who) && !Self::holds_lease(world, post.who)) {
            world.breaks(Promise::Fenced);
        }
    }
}
