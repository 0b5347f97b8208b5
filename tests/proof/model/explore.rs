//! What stateright explores: which steps are possible when, and what must hold.

use stateright::{Model, Property};

use super::{
    liveness,
    steps::{ANSWERS, Answered, FATES, Fate, Protocol, Step},
    world::{GONE, Holder, Outcome, Promise, World},
};

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.broken != 0 {
            return;
        }
        steps.push(Step::Tick);
        for place in 0..self.bounds().holders {
            let who = u8::try_from(place).unwrap_or(GONE);
            match world.holders[place] {
                Holder::Idle => steps.push(Step::Load(who)),
                Holder::Granting { .. } => {
                    steps.extend(ANSWERS.map(|answered| Step::Grant(who, answered)));
                }
                Holder::Leased => {
                    steps.extend(self.reads(world).map(|saw| Step::Read(who, saw)));
                    steps.push(Step::ReadFails(who));
                }
                Holder::Observed(_) => steps.push(Step::Decide(who)),
                Holder::Intending { .. } => {
                    steps.extend(ANSWERS.map(|answered| Step::Intend(who, answered)));
                }
                Holder::Permitted { .. } => {
                    steps.extend((0..=self.bounds().drift).map(|slow| Step::Send(who, slow)));
                    steps.push(Step::SendUnconnected(who));
                }
                Holder::Posting { .. } => steps.push(Step::GiveUp(who)),
                Holder::Looking => {
                    steps.extend(self.reads(world).map(|saw| Step::Look(who, saw)));
                }
                Holder::Renouncing(_) => steps.push(Step::Renounce(who)),
                Holder::Closing(_) => {
                    steps.push(Step::Close(who, Answered::Done));
                    steps.push(Step::Close(who, Answered::Lost));
                }
            }
            if world.holders[place] != Holder::Idle {
                steps.push(Step::Crash(who));
            }
        }
        for (at, post) in world.posts.iter().enumerate() {
            let Some(post) = post else { continue };
            let heard = world.holders.get(usize::from(post.who));
            let heard = matches!(heard, Some(Holder::Posting { .. }));
            let told = |fate: &Fate| heard || matches!(fate, Fate::AcceptedUnheard | Fate::Lost);
            steps.extend(FATES.into_iter().filter(told).map(|fate| Step::Arrive(at, fate)));
        }
        if world.runs {
            steps.push(Step::Stop);
        }
        if self.bounds().operator {
            steps.push(Step::Hold(!world.record.held));
            steps.push(Step::Reset);
        }
        if self.bounds().tenant.is_some() {
            steps.push(Step::Elsewhere);
        }
        if self.bounds().set_back {
            steps.push(Step::SetBack(!world.behind));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.take(world, step)?.normal(self.bounds());
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(world: &World, promise: Promise) -> bool {
            world.broken & promise.bit() == 0
        }
        vec![
            Property::always("S1 state first", |_, w| keeps(w, Promise::StateFirst)),
            Property::always("S2 one in flight", |_, w| keeps(w, Promise::OneInFlight)),
            Property::always("S2 fenced", |_, w| keeps(w, Promise::Fenced)),
            Property::always("S3 never forgotten", |_, w| keeps(w, Promise::NeverForgotten)),
            Property::always("S4 never repeated", |_, w| keeps(w, Promise::NeverRepeated)),
            Property::always("S5 bounded", |_, w| keeps(w, Promise::Bounded)),
            Property::always("S6 fail closed", |_, w| keeps(w, Promise::FailClosed)),
            Property::always("none on running", |_, w| keeps(w, Promise::NoneOnRunning)),
            Property::always("L eventually started", liveness::holds),
            // That the model is not empty: what must be possible is.
            Property::sometimes("a start works", |_, w: &World| w.runs),
            Property::sometimes("an intent stays in doubt", |_, w: &World| {
                w.marks().any(|mark| mark.who == GONE && mark.result == Outcome::InDoubt)
            }),
            Property::sometimes("the budget is used up", |m: &Self, w: &World| {
                w.sent.iter().flatten().count()
                    == usize::try_from(m.bounds().max_starts).unwrap_or(0)
            }),
        ]
    }
}
