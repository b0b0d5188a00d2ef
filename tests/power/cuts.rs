//! Which moments of a run the power is cut at, and what is left then.

use super::model::{Fate, Image, Op, Recording};

/// A cut before an operation.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub at: usize,
    pub kind: Kind,
    pub choice: Choice,
}

/// What ended the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The process died; the machine did not start again.
    Crash,
    /// The power was cut; the machine started again.
    Power,
}

/// What is left of operations that were not flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All.
    All,
    /// Nothing.
    Flushed,
    /// Names, and no bytes.
    Names,
    /// Bytes, and no names.
    Bytes,
    /// All but one.
    Without(usize),
    /// One alone.
    Only(usize),
    /// Some, by a seed; of some bytes only some sectors.
    Chance(u64),
    /// All, but of the last bytes only some sectors.
    TornLast(usize, u64),
}

impl Cut {
    /// What this cut leaves.
    pub fn image(&self, recording: &Recording) -> Image {
        let ops = &recording.ops;
        let kept_if = |kept: bool| if kept { Fate::Kept } else { Fate::Lost };
        recording.image(self.at, |number| match self.choice {
            Choice::All => Fate::Kept,
            Choice::Flushed => Fate::Lost,
            Choice::Names => kept_if(ops[number].is_entry()),
            Choice::Bytes => kept_if(!ops[number].is_entry()),
            Choice::Without(one) => kept_if(number != one),
            Choice::Only(one) => kept_if(number == one),
            Choice::TornLast(last, seed) if number == last => torn(&mut Chance::new(seed)),
            Choice::TornLast(..) => Fate::Kept,
            Choice::Chance(seed) => {
                let mut chance = Chance::new(seed ^ (number as u64).wrapping_mul(0x9e37_79b9));
                match (chance.one_of(4), &ops[number]) {
                    (0, _) => Fate::Lost,
                    (1, Op::Write { .. }) => torn(&mut chance),
                    (1, _) => Fate::Lost,
                    _ => Fate::Kept,
                }
            }
        })
    }
}

fn torn(chance: &mut Chance) -> Fate {
    Fate::Torn {
        seed: chance.next(),
        sector: if chance.one_of(2) == 0 { 512 } else { 4096 },
    }
}

/// The cuts of a run, the plain ones first, the others in an order of chance.
pub fn of(recording: &Recording, chance: &mut Chance) -> Vec<Cut> {
    let (mut plain, mut others) = (Vec::new(), Vec::new());
    for at in moments(recording, chance) {
        let cut = |kind, choice| Cut { at, kind, choice };
        plain.push(cut(Kind::Crash, Choice::All));
        plain.push(cut(Kind::Power, Choice::Flushed));
        let open = recording.unsafe_at(at);
        if open.is_empty() {
            continue;
        }
        let mut choices = vec![Choice::All, Choice::Names, Choice::Bytes];
        for _ in 0..3 {
            choices.push(Choice::Without(open[chance.one_of(open.len())]));
            choices.push(Choice::Only(open[chance.one_of(open.len())]));
        }
        for _ in 0..4 {
            choices.push(Choice::Chance(chance.next()));
        }
        let last = open.iter().rev().find(|number| !recording.ops[**number].is_entry());
        if let Some(last) = last {
            choices.push(Choice::TornLast(*last, chance.next()));
            choices.push(Choice::TornLast(*last, chance.next()));
        }
        others.extend(choices.into_iter().map(|choice| cut(Kind::Power, choice)));
    }
    chance.shuffle(&mut others);
    plain.extend(others);
    plain
}

// Every moment, but of a long run of writes to one file only its ends and some between.
fn moments(recording: &Recording, chance: &mut Chance) -> Vec<usize> {
    const ENDS: usize = 2;
    let ops = &recording.ops;
    let same = |at: usize| match (&ops[at - 1], ops.get(at)) {
        (Op::Write { file: one, .. }, Some(Op::Write { file: other, .. })) => one == other,
        _ => false,
    };
    let (mut moments, mut run) = (vec![0], Vec::new());
    for at in 1..=ops.len() {
        // A rename is one call, though its two names are kept or lost apart.
        if !matches!(ops.get(at), Some(Op::Remove { after: Some(_), .. })) {
            run.push(at);
        }
        if same(at) {
            continue;
        }
        let length = run.len();
        let kept = run
            .drain(..)
            .enumerate()
            .filter(|(place, _)| *place < ENDS || place + ENDS >= length || length < 64 || chance.one_of(length) < 2);
        moments.extend(kept.map(|(_, at)| at));
    }
    moments
}

/// Chance that comes out the same for the same seed: Sebastiano Vigna's splitmix64.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`.
    pub fn one_of(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count.max(1) as u64).expect("it is below a usize")
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.one_of(last + 1));
        }
    }
}
